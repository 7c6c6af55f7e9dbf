"""GPU, threads, cache folder, disk and sound formats, found without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from steermoe_core.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Bytes below which a disk is called nearly full: less than the weights of one small model and a run.
LEAST_FREE = 5 * 10**9
#: What recordings usually come in.
FORMATS = ("WAV", "FLAC", "OGG", "MP3")


def facts(runs: Path) -> dict[str, Any]:
    """Return what the machine has.

    :param runs: the folder that holds the run folders.
    """
    return {
        "gpu": gpu(),
        "cores": cores(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "cache": _folder(cache()),
        "runs": _folder(runs),
        "sound": sound(),
    }


def machine(found: Mapping[str, Any], torch: str | None) -> Iterator[Finding]:
    """Yield what the facts say is wrong.

    :param found: what `facts` returns.
    :param torch: the version of torch that is installed.
    """
    if found["gpu"] and torch and torch.endswith("+cpu"):
        yield Finding(
            code="gpu-unused",
            what=f"this machine has a GPU ({found['gpu']}), and torch {torch} was built without CUDA",
            mend="`pip install --force-reinstall torch` takes the build that its index has for GPUs",
        )
    threads = str(found["threads"] or "")
    if threads.isdecimal() and int(threads) > found["cores"]:
        yield Finding(
            code="threads",
            what=f"OMP_NUM_THREADS is {threads}, and this process may use {found['cores']} cores",
            mend=f"`export OMP_NUM_THREADS={found['cores']}`",
        )
    yield from _disks(found)
    yield from _sound(found["sound"])


def _disks(found: Mapping[str, Any]) -> Iterator[Finding]:
    place = found["cache"]["path"]
    if not found["cache"]["writable"]:
        yield Finding(
            code="cache-folder",
            what=f"{place}, the cache of models and datasets, cannot be written: nothing new can be fetched",
            mend="name a folder that is yours: `export HF_HOME=~/huggingface`",
        )
    cure = {
        "cache": "`hf cache prune` removes what nothing uses",
        "runs": "`du -sh {}/*` shows what is large",
    }
    for name, text in cure.items():
        if found[name]["free"] < LEAST_FREE:
            path = found[name]["path"]
            yield Finding(
                code="disk-space",
                what=f"{found[name]['free'] / 1e9:.1f} GB are free in {path}, and models and runs need more",
                mend=text.format(quote(path)),
            )


def _sound(found: Mapping[str, Any]) -> Iterator[Finding]:
    if found["failed"]:
        yield Finding(
            code="package-broken",
            what=f"soundfile cannot be imported: {found['failed']}",
            mend="`pip install --force-reinstall soundfile`, which brings libsndfile",
        )
    elif missing := [name for name in FORMATS if name not in found["formats"]]:
        yield Finding(
            code="sound-formats",
            what=f"libsndfile {found['libsndfile']} cannot read {', '.join(missing)}",
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


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache() -> Path:
    """Return the folder of models and datasets from the hub."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def sound() -> dict[str, Any]:
    """Return the version of libsndfile and which of `FORMATS` it reads, or why there is none."""
    try:
        import soundfile
    except Exception as error:  # noqa: BLE001 - ImportError, or OSError where the library is missing
        return {"libsndfile": None, "formats": [], "failed": f"{type(error).__name__}: {error}"}
    known = soundfile.available_formats()
    formats = [name for name in FORMATS if name in known]
    return {"libsndfile": soundfile.__libsndfile_version__, "formats": formats, "failed": None}


def _folder(path: Path) -> dict[str, Any]:
    """Return a folder with the room on its disk; where it does not exist yet, that of the folder above."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return {"path": str(path), "free": free, "writable": os.access(place, os.W_OK)}
