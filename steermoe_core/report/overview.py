"""The head of the page: what each run is, its progress, and its first score."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.component import Selection
    from steermoe_core.report.runs import Run
    from steermoe_core.run.folder.records import Status


def overview(found: Sequence[Run]) -> dict[str, Any]:
    """Return a card for each run."""
    return {
        "cards": [_card(run) for run in found],
        "missing": None,
        "commands": [run.command("results") if run.splits and run.card else _resume(run) for run in found],
    }


def _resume(run: Run) -> str:
    """Return the command that resumes a run."""
    place = run.folder.path.parent
    elsewhere = [] if str(place) == "runs" else ["--runs", str(place)]
    return run.command("run", file="experiment.toml", again=elsewhere)


def _card(run: Run) -> dict[str, Any]:
    experiment, status = run.resolved.experiment, run.files.status
    steps = [line["step"] for line in run.journal]
    training = run.card.training if run.card else None
    note = training.sentence() if training else None
    return {
        "run": run.name,
        "experiment": experiment.experiment.name,
        "description": experiment.experiment.description,
        "folder": str(run.folder.path),
        "state": status.state if status else "not started",
        "error": status.error if status else None,
        "step": max([training.steps if training else 0, status.step if status else 0, *steps]),
        "steps": run.folder.steps(experiment.train),
        "seed": experiment.experiment.seed,
        "started": status.started if status else None,
        "seconds": _seconds(status) if status else None,
        "trained": run.card.trainable_parameters if run.card else None,
        "parts": dict(_parts(run)),
        "notes": [note] if note else [],
        "headline": _headline(run),
    }


def _parts(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what the model consists of, each part with its weights."""
    experiment = run.resolved.experiment
    for kind in ("encoder", "adapter", "projector", "decoder"):
        selection: Selection = getattr(experiment, kind)
        weights = getattr(selection.config, "weights", None)
        yield kind, f"{selection.name} · {weights}" if weights else selection.name


def _seconds(status: Status) -> float | None:
    """Return how long a run took, or has taken so far; pauses between two starts are part of it."""
    started, ended = status.started, status.ended or status.updated
    if not (started and ended):
        return None
    try:
        return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    except (TypeError, ValueError):  # written by hand: no time, or one without a zone
        return None


def _headline(run: Run) -> dict[str, Any] | None:
    """Return the first metric of the first split, with the same of each control."""
    for split in run.splits:
        for name, score in split.scores.metrics.items():
            controls = {
                control: scores[name].value
                for control, scores in split.scores.controls.items()
                if name in scores
            }
            return {"split": split.name, "metric": name, "controls": controls, **plain(score)}
    return None
