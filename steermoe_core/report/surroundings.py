"""What supports the results of a run: certificates, environment, settings."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from steermoe_core.config.flat import differing, flat
from steermoe_core.config.naming import dotted
from steermoe_core.config.text.write import dumps
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.report.runs import Run
    from steermoe_core.run.folder.records import Lock


def certificates(found: Sequence[Run]) -> dict[str, Any]:
    """Return what was proved of each run."""
    certified = [run for run in found if run.files.certificates]
    rows = [{"run": run.name, "certificates": plain(run.files.certificates)} for run in certified]
    return {
        "runs": rows,
        "missing": None if rows else "No run folder has certificates.json.",
        "commands": [run.command("certify") for run in certified],
    }


def environment(found: Sequence[Run]) -> dict[str, Any]:
    """Return what lock.json records of each run, a row for each fact."""
    recorded = [dict(_facts(run.files.lock)) for run in found]
    names = dict.fromkeys(name for facts in recorded for name in facts)
    rows = [{"name": name, "values": [facts.get(name) for facts in recorded]} for name in names]
    return {
        "runs": [run.name for run in found],
        "rows": rows,
        "missing": None if rows else "The run has no lock.json yet.",
        "commands": [shlex.join(["cat", str(run.folder.lock)]) for run in found if run.files.lock],
    }


def settings(found: Sequence[Run]) -> dict[str, Any]:
    """Return the settings that differ between runs, and the whole experiment of each."""
    apart = differing([dict(flat(run.resolved.table)) for run in found])
    return {
        "runs": [run.name for run in found],
        "differing": [{"key": dotted(path), "values": values} for path, values in apart.items()],
        "files": [{"run": run.name, "toml": dumps(run.resolved.table)} for run in found],
        "missing": None,
        "commands": [run.command("config", file="experiment.toml") for run in found],
    }


def _facts(lock: Lock | None) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a lock.json."""
    if lock is None:
        return
    for name in ("python", "platform", "seed", "processes"):
        if (value := getattr(lock, name)) is not None:
            yield name, str(value)
    if lock.git:
        yield "git", f"{lock.git.commit}{' with changes' if lock.git.dirty else ''}"
    for part, digest in lock.frozen.items():
        yield f"frozen {part}", digest
    for name, data in lock.data.items():
        yield f"data {name}", f"{data.examples} clips, {data.hours} h, {data.sha256}"
    for name, version in [*lock.packages.items(), *lock.plugins.items()]:
        yield name, str(version)
