"""What a run's numbers depend on and what was proved of it: certificates, environment, settings."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from steermoe_core.config.flat import differing, flat
from steermoe_core.config.naming import dotted
from steermoe_core.config.text.write import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from steermoe_core.report.runs import Run


def certificates(found: Sequence[Run]) -> dict[str, Any]:
    """Return what was proved of each run."""
    rows = [{"run": run.name, "certificates": run.certificates} for run in found if run.certificates]
    return {
        "runs": rows,
        "missing": None if rows else "No run folder has certificates.json.",
        "commands": [run.command("certify") for run in found if run.certificates],
    }


def environment(found: Sequence[Run]) -> dict[str, Any]:
    """Return what lock.json records of each run, a row for each fact."""
    recorded = [dict(_facts(run.lock)) for run in found]
    names = dict.fromkeys(name for facts in recorded for name in facts)
    rows = [{"name": name, "values": [facts.get(name) for facts in recorded]} for name in names]
    return {
        "runs": [run.name for run in found],
        "rows": rows,
        "missing": None if rows else "The run has no lock.json yet.",
        "commands": [shlex.join(["cat", str(run.folder.lock)]) for run in found if run.lock],
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


def _facts(lock: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a lock.json says, one name and one value a line."""
    git = lock.get("git")
    for name in ("python", "platform", "seed", "processes"):
        if name in lock:
            yield name, str(lock[name])
    if git:
        yield "git", f"{git['commit']}{' with changes' if git['dirty'] else ''}"
    for part, digest in lock.get("frozen", {}).items():
        yield f"frozen {part}", str(digest)
    for name, facts in lock.get("data", {}).items():
        yield f"data {name}", f"{facts['examples']} clips, {facts['hours']} h, {facts['sha256']}"
    for kind in ("packages", "plugins"):
        for name, version in lock.get(kind, {}).items():
            yield name, str(version)
