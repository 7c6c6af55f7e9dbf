"""GPU, threads, cache folder, disk and sound formats, found without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import attrs

from steermoe_core.doctor.finding import Finding
from steermoe_core.system.cores import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Free bytes below which a disk is nearly full: less than a small model and a run take.
LEAST_FREE = 5 * 10**9
#: Common formats of recordings.
FORMATS = ("WAV", "FLAC", "OGG", "MP3")


@attrs.frozen(kw_only=True)
class Folder:
    """A folder and the bytes that are free on its disk."""

    path: str
    free: int
    writable: bool


@attrs.frozen(kw_only=True)
class Sound:
    """The version of libsndfile and which of `FORMATS` it reads, or why it cannot be imported."""

    libsndfile: str | None = None
    formats: list[str] = attrs.field(factory=list)
    failed: str | None = None


@attrs.frozen(kw_only=True)
class Machine:
    """What the machine has.

    :param gpu: name of the first one.
    :param cores: that this process may use.
    :param threads: OMP_NUM_THREADS.
    :param cache: of models and datasets.
    :param runs: holds the run folders.
    """

    gpu: str | None
    cores: int
    threads: str | None
    cache: Folder
    runs: Folder
    sound: Sound


def facts(runs: Path) -> Machine:
    """Return what the machine has.

    :param runs: the folder that holds the run folders.
    """
    return Machine(
        gpu=gpu(),
        cores=cores(),
        threads=os.environ.get("OMP_NUM_THREADS"),
        cache=_folder(cache()),
        runs=_folder(runs),
        sound=sound(),
    )


def machine(found: Machine, torch: str | None) -> Iterator[Finding]:
    """Yield what is wrong with the machine.

    :param torch: the version of torch that is installed.
    """
    if found.gpu and torch and torch.endswith("+cpu"):
        yield Finding(
            code="gpu-unused",
            what=f"this machine has a GPU ({found.gpu}), and torch {torch} was built without CUDA",
            mend="`pip install --force-reinstall torch` takes the build that its index has for GPUs",
        )
    threads = found.threads or ""
    if threads.isdecimal() and int(threads) > found.cores:
        yield Finding(
            code="threads",
            what=f"OMP_NUM_THREADS is {threads}, and this process may use {found.cores} cores",
            mend=f"`export OMP_NUM_THREADS={found.cores}`",
        )
    if not found.cache.writable:
        place = found.cache.path
        yield Finding(
            code="cache-folder",
            what=f"{place}, the cache of models and datasets, cannot be written: nothing new can be fetched",
            mend="name a folder that is yours: `export HF_HOME=~/huggingface`",
        )
    yield from _space(found.cache, "`hf cache prune` removes what nothing uses")
    yield from _space(found.runs, f"`du -sh {quote(found.runs.path)}/*` shows what is large")
    yield from _sound(found.sound)


def _space(folder: Folder, mend: str) -> Iterator[Finding]:
    if folder.free < LEAST_FREE:
        what = f"{folder.free / 1e9:.1f} GB are free in {folder.path}, and models and runs need more"
        yield Finding(code="disk-space", what=what, mend=mend)


def _sound(found: Sound) -> Iterator[Finding]:
    if found.failed:
        yield Finding(
            code="package-broken",
            what=f"soundfile cannot be imported: {found.failed}",
            mend="`pip install --force-reinstall soundfile`, which brings libsndfile",
        )
    elif missing := [name for name in FORMATS if name not in found.formats]:
        yield Finding(
            code="sound-formats",
            what=f"libsndfile {found.libsndfile} cannot read {', '.join(missing)}",
            mend="`pip install --upgrade --force-reinstall soundfile` brings one that can",
        )


def gpu() -> str | None:
    """Return the name of the first NVIDIA GPU, or None; asks the driver, not torch."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "NVIDIA" if Path("/proc/driver/nvidia/version").exists() else None
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own program
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.splitlines()), None)


def cache() -> Path:
    """Return the folder of models and datasets from the hub."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def sound() -> Sound:
    """Return what this machine decodes sound files with."""
    try:
        import soundfile
    except Exception as error:  # noqa: BLE001 - ImportError, or OSError where the library is missing
        return Sound(failed=f"{type(error).__name__}: {error}")
    known = soundfile.available_formats()
    formats = [name for name in FORMATS if name in known]
    return Sound(libsndfile=soundfile.__libsndfile_version__, formats=formats)


def _folder(path: Path) -> Folder:
    """Return a folder; if it does not exist yet, with the disk of the nearest folder above."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return Folder(path=str(path), free=free, writable=os.access(place, os.W_OK))
