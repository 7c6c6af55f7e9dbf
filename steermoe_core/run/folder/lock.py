"""lock.json: everything outside the experiment file that a run's numbers depend on."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from typing import TYPE_CHECKING

from steermoe_core.errors import RunFolderError
from steermoe_core.plugins.discovery import normal
from steermoe_core.plugins.plugin import ENGINE
from steermoe_core.plugins.requirements import needed
from steermoe_core.run.folder.records import Git, Lock

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.evaluate.scores import DataRecord
    from steermoe_core.plugins import Registry
    from steermoe_core.system.records import Json

#: Packages whose version can change a number: what decodes, computes, trains, tokenizes and scores.
PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "deepspeed",
    "flash-attn",
    "bitsandbytes",
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


def describe(
    registry: Registry,
    *,
    processes: int,
    seed: int,
    frozen: dict[str, str],
    data: dict[str, DataRecord],
    batch_budget: float | None = None,
) -> Lock:
    """Return the record of a run that starts here.

    :param processes: that train together.
    :param frozen: SHA-256 of each frozen part.
    :param data: of each source.
    :param batch_budget: of a batch, where the experiment says `auto`.
    """
    return Lock(
        python=platform.python_version(),
        platform=platform.platform(),
        plugins={
            plugin.distribution: plugin.version for plugin in registry.plugins if plugin.status == "active"
        },
        packages=packages(registry),
        git=_git(),
        seed=seed,
        processes=processes,
        frozen=frozen,
        data=data,
        batch_budget=batch_budget,
    )


def check(path: Path, record: Lock) -> None:
    """Make sure that a run resumes with the weights and the data that it began with.

    :param path: the lock.json of its beginning.
    :param record: what `describe` returns now.
    :raises RunFolderError: they changed.
    """
    begun = Lock.find(path)
    if begun is None:
        return  # lost: nothing to compare with
    if begun.processes != record.processes:
        msg = (
            f"{path.parent} began with {begun.processes} processes and cannot resume with "
            f"{record.processes}, which would take other steps; start as many "
            f"(`steermoe launch --nproc {begun.processes}`), or delete the folder to train from the start"
        )
        raise RunFolderError(msg)
    before, now = _trained_on(begun), _trained_on(record)
    if changed := [name for name in now if before.get(name) != now[name]]:
        msg = (
            f"{path.parent} cannot resume: its {' and '.join(changed)} changed since it began "
            f"(see {path.name} there); restore what it began with, "
            "or delete the folder to train from the start"
        )
        raise RunFolderError(msg)


def _trained_on(record: Lock) -> Json:
    data = {"training data": record.data.get("train"), "validation data": record.data.get("validate")}
    return {**record.frozen, **data}


def packages(registry: Registry) -> dict[str, str | None]:
    """Return the versions of `PACKAGES`, and of whatever else the plugins build on."""
    active = {plugin.distribution for plugin in registry.plugins if plugin.status == "active"}
    more = {name for distribution in active for name in needed(distribution)}
    more -= {*map(normal, PACKAGES), *map(normal, active), *needed(ENGINE), ENGINE}
    return {name: version_of(name) for name in (*PACKAGES, *sorted(more))}


def version_of(name: str) -> str | None:
    """Return the version of an installed distribution; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git() -> Git | None:
    def ask(*words: str) -> str:
        command = ["git", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
        return done.stdout.strip()

    try:
        return Git(commit=ask("rev-parse", "HEAD"), dirty=bool(ask("status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):
        return None
