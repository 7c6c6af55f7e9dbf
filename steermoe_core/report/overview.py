"""The head of the page: what each run is, its progress, and its first score."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from steermoe_core.component import tower_of
from steermoe_core.report.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.component import Selection
    from steermoe_core.report.runs import Run
    from steermoe_core.run.folder.records import Status
    from steermoe_core.system.records import Json


def overview(runs: Sequence[Run]) -> Section:
    """Return a card for each run."""
    return Section(
        content={"cards": [_card(run) for run in runs]},
        commands=[run.command("results") if run.scored else _resume(run) for run in runs],
    )


def _resume(run: Run) -> str:
    """Return the command that resumes a run."""
    parent = str(run.files.path.parent)
    return run.command("run", file="experiment.toml", flags=[] if parent == "runs" else ["--runs", parent])


def _card(run: Run) -> Json:
    experiment, status, card = run.files.experiment, run.files.status, run.card
    steps = [line.step for line in run.files.metrics]
    note = card.training.sentence() if card else None
    return {
        "run": run.name,
        "experiment": experiment.experiment.name,
        "description": experiment.experiment.description,
        "folder": str(run.files.path),
        "state": status.state if status else "not started",
        "error": status.error if status else None,
        "step": max([card.training.steps if card else 0, status.step if status else 0, *steps]),
        "steps": run.files.folder.steps(experiment.train),
        "seed": experiment.experiment.seed,
        "started": status.started if status else None,
        "seconds": _seconds(status) if status else None,
        "trained": card.trainable_parameters if card else None,
        "parts": dict(_parts(run)),
        "notes": [note] if note else [],
        "headline": next(run.scores(), None),
    }


def _parts(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what the model consists of, each part with its weights."""
    experiment = run.files.experiment
    chosen = [experiment.encoder, *experiment.adapter, experiment.projector, experiment.decoder]
    for kind in dict.fromkeys(one.kind for one in chosen):
        yield kind, ", ".join(_named(one) for one in chosen if one.kind == kind)


def _named(selection: Selection) -> str:
    """Return a component with its weights, and the decoder where an adapter works on it."""
    weights = getattr(selection.config, "weights", None)
    name = f"{selection.name} · {weights}" if weights else selection.name
    return f"{name} on the decoder" if tower_of(selection.config) == "decoder" else name


def _seconds(status: Status) -> float | None:
    """Return how long a run took, or has taken so far, pauses included."""
    started, ended = status.started, status.ended or status.updated
    if not (started and ended):
        return None
    try:
        return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    except (TypeError, ValueError):  # edited by hand: not a time, or one without a zone
        return None
