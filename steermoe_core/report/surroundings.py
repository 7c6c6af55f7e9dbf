"""What supports the results of a run: certificates, environment, settings."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from steermoe_core.config.flat import differing, flat
from steermoe_core.config.naming import dotted
from steermoe_core.config.text.write import dumps
from steermoe_core.report.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.report.runs import Run
    from steermoe_core.run.folder.records import Lock


def certificates(runs: Sequence[Run]) -> Section:
    """Return what was proved of each run."""
    certified = [run for run in runs if run.files.certificates]
    return Section(
        content={"runs": [{"run": run.name, "certificates": run.files.certificates} for run in certified]},
        missing=None if certified else "No run folder has certificates.json.",
        commands=[run.command("certify") for run in certified],
    )


def environment(runs: Sequence[Run]) -> Section:
    """Return what lock.json records of each run, a row for each fact."""
    recorded = [dict(_facts(run.files.lock)) for run in runs]
    names = dict.fromkeys(name for facts in recorded for name in facts)
    rows = [{"name": name, "values": [facts.get(name) for facts in recorded]} for name in names]
    return Section(
        content={"runs": [run.name for run in runs], "rows": rows},
        missing=None if rows else "The run has no lock.json yet.",
        commands=[shlex.join(["cat", str(run.files.folder.lock)]) for run in runs if run.files.lock],
    )


def settings(runs: Sequence[Run]) -> Section:
    """Return the settings that differ between runs, and the whole experiment of each."""
    apart = differing([dict(flat(run.files.resolved.table)) for run in runs])
    return Section(
        content={
            "runs": [run.name for run in runs],
            "differing": [{"key": dotted(path), "values": values} for path, values in apart.items()],
            "files": [{"run": run.name, "toml": dumps(run.files.resolved.table)} for run in runs],
        },
        commands=[run.command("config", file="experiment.toml") for run in runs],
    )


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
