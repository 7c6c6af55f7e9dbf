"""Debian packages that carry speech: where their files are, and how they come onto the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from steermoe_core import cache_folder
from steermoe_core.errors import SetupError
from steermoe_pocket import cache
from steermoe_pocket.program import call
from steermoe_pocket.progress import working

SHARE = Path("/usr/share")
#: Package → a file that it brings, below `SHARE`. The transcripts lie in a doc folder, which small images of
#: systems leave out.
PACKAGES = {
    "asterisk-core-sounds-en-g722": "asterisk/sounds/en_US_f_Allison/hello.g722",
    "asterisk-core-sounds-en": "doc/asterisk-core-sounds-en/core-sounds-en.txt.gz",
    "pocketsphinx-testdata": "pocketsphinx/test/data/librivox/transcription",
}


class SpeechMissingError(SetupError):
    """The speech of a Debian package is not on this machine."""


def missing(share: Path = SHARE) -> list[str]:
    """Return the names of the packages whose files are not there."""
    return [package for package, file in PACKAGES.items() if not (share / file).is_file()]


def require(share: Path, *packages: str) -> None:
    """Stop unless the packages' files are there.

    :raises SpeechMissingError: naming the packages and the command that installs them.
    """
    lacking = [package for package in packages if package in missing(share)]
    if lacking:
        files = " and ".join(str(share / PACKAGES[package]) for package in lacking)
        msg = f"no {files}; run as root: apt-get install --no-install-recommends {' '.join(lacking)}"
        raise SpeechMissingError(msg)


def unpacked(package: str) -> Path:
    """Return a folder with a package's files, such as `usr/share/…`, downloaded and unpacked now if need be.

    Nothing is installed, so no root is needed. The package's own programs run from there.

    :raises SpeechMissingError: the package cannot be downloaded.
    """
    return cache.made_once(cache_folder() / "debian" / package, lambda place: _unpack(package, place))


def _unpack(package: str, place: Path) -> None:
    failure = f"the Debian package {package} cannot be downloaded"
    with working(f"downloading the Debian package {package}"):
        try:
            _download(package, place, failure)
        except SetupError as error:
            raise SpeechMissingError(str(error)) from error
        (archive,) = place.glob("*.deb")
        call(["dpkg-deb", "--extract", archive.name, "."], failure, folder=place)
    archive.unlink()


def _download(package: str, place: Path, failure: str) -> None:
    command = ["apt-get", "download", "-qq", package]
    try:
        call(command, failure, folder=place)
    except SetupError:
        # an index that is old or empty is renewed, which only root may
        if os.geteuid() != 0 or not shutil.which("apt-get") or not _apt("update", "-qq"):
            raise
        call(command, failure, folder=place)


def install() -> str | None:
    """Install what is missing, where this process may: as root, with apt-get.

    :returns: why something is still missing, or None.
    """
    packages = missing()
    if not packages:
        return None
    if os.geteuid() != 0:
        return "not root"
    if not shutil.which("apt-get"):
        return "there is no apt-get"
    # an index that is old or empty is renewed, and the install tried again
    if _install(packages) or (_apt("update", "-qq") and _install(packages)):
        return f"{', '.join(missing())} brought no speech" if missing() else None
    return "apt-get failed"


def _install(packages: list[str]) -> bool:
    kept = [f"--option=Dpkg::Options::=--path-include={SHARE}/doc/{package}/*" for package in packages]
    return _apt("install", "-qq", "--yes", "--no-install-recommends", "--reinstall", *kept, *packages)


def _apt(*arguments: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "--option=DPkg::Lock::Timeout=120", *arguments]
    done = subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL)  # noqa: S603
    return done.returncode == 0
