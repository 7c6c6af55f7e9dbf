"""lock.json: everything outside the experiment file that a run's numbers depend on."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import RunFolderError
from steermoe_core.plugins.discovery import normal
from steermoe_core.plugins.plugin import ENGINE
from steermoe_core.plugins.requirements import needed
from steermoe_core.system.json_shapes import NUMBER, DamagedError, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.plugins import Registry

#: Packages whose version can change a number: what decodes, computes, trains, tokenizes and scores.
PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "deepspeed",
    "flash-attn",
    "numpy",
    "safetensors",
    "gguf",
    "tokenizers",
    "sentencepiece",
    "tiktoken",
    "datasets",
    "pyarrow",
    "soundfile",
    "soxr",
    "av",
    "jiwer",
    "rapidfuzz",
    "kaldialign",
    "whisper-normalizer",
)
#: What an adapter that training starts from is called among the frozen parts.
STARTING_ADAPTER = "starting adapter"
#: The file, as far as somebody reads it.
_SHAPE = {
    "git?": (None, {"commit": str, "dirty": bool}),
    "processes?": int,
    "frozen?": {"*": str},
    "data?": {"*": {"examples": int, "hours": NUMBER, "sha256": str}},
    "packages?": {"*": object},
    "plugins?": {"*": object},
}


def describe(
    registry: Registry, *, processes: int, seed: int, fingerprints: dict[str, str], data: dict[str, Any]
) -> dict[str, Any]:
    """Return the record of a run's surroundings.

    :param processes: that train together.
    :param fingerprints: SHA-256 of each frozen part.
    :param data: of each source, its number of examples and a hash of their ids, texts and files.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "plugins": {
            plugin.distribution: plugin.version for plugin in registry.plugins if plugin.status == "active"
        },
        "packages": _packages(registry),
        "git": _git(),
        "seed": seed,
        "processes": processes,
        "frozen": fingerprints,
        "data": data,
    }


def check(path: Path, record: dict[str, Any]) -> None:
    """Make sure that a run goes on with the weights and the data that it began to learn from.

    :param path: the lock.json of its beginning.
    :param record: what `describe` says now.
    :raises RunFolderError: something else is there now.
    """
    begun = read(path)
    if not begun:
        return  # lost: nothing to compare with
    if (before := begun.get("processes", 1)) != record["processes"]:
        msg = (
            f"{path.parent} began with {before} processes and cannot go on with {record['processes']}, whose "
            f"steps would be others; start as many (`steermoe launch --nproc {before}`), "
            "or delete the folder to train from the start"
        )
        raise RunFolderError(msg)
    then, here = ({**one.get("frozen", {}), **_learned_from(one.get("data", {}))} for one in (begun, record))
    if changed := [name for name in here if then.get(name) != here[name]]:
        msg = (
            f"{path.parent} cannot go on: its {' and '.join(changed)} changed since it began "
            f"(see {path.name} there); restore what it began with, "
            "or delete the folder to train from the start"
        )
        raise RunFolderError(msg)


def recorded(path: Path, key: str) -> dict[str, Any]:
    """Return a table of a lock.json; empty where it is lost."""
    return dict(read(path).get(key, {}))


def frozen(path: Path) -> dict[str, str]:
    """Return the fingerprints of the frozen parts that a run began with; none if its lock.json is lost."""
    return dict(read(path).get("frozen", {}))


def read(path: Path) -> dict[str, Any]:
    """Return a lock.json; an empty one where it is lost.

    :raises RunFolderError: it is damaged.
    """
    try:
        return dict(read_json(path, _SHAPE))
    except FileNotFoundError:
        return {}
    except DamagedError as error:
        msg = (
            f"{path} is damaged ({error}); restore it, or move it away: then nobody knows with which weights "
            "and data the run began"
        )
        raise RunFolderError(msg) from None


def _learned_from(data: dict[str, Any]) -> dict[str, Any]:
    return {"training data": data.get("train"), "validation data": data.get("validate")}


def _packages(registry: Registry) -> dict[str, str | None]:
    """Return the versions of `PACKAGES`, and of whatever else the plugins build on."""
    active = {plugin.distribution for plugin in registry.plugins if plugin.status == "active"}
    more = {name for distribution in active for name in needed(distribution)}
    more -= {*map(normal, PACKAGES), *map(normal, active), *needed(ENGINE), ENGINE}
    return {name: _version(name) for name in (*PACKAGES, *sorted(more))}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    def ask(*words: str) -> str:
        command = ["git", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
