"""The clips with the most errors: what was asked, said and heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.evaluate.metrics import total
from steermoe_core.report.alignment import aligned
from steermoe_core.report.runs import judged, splits
from steermoe_core.report.sounds import sounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.evaluate.metrics import Units
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import Edits
    from steermoe_core.plugins import Registry
    from steermoe_core.report.runs import Run

#: Clips shown of a split, and bytes of the page that all sounds together may take.
WORST, SOUNDS = 10, 2_000_000
#: Pieces of an alignment that are shown; an answer that never ends has more.
_PIECES = 120


@attrs.frozen(eq=False)
class Answer:
    """What a run said to a clip, and how far off that is."""

    run: Run
    prediction: Prediction
    edits: Edits


def clips(found: Sequence[Run], registry: Registry, *, audio: bool = True) -> dict[str, Any]:
    """Return the worst clips of each split, with the answers of all runs side by side.

    :param audio: whether to embed what can be heard of them.
    """
    names = [name for name in splits(found) if judged(found, name)]
    budget = SOUNDS // len(names) if names and audio else 0
    return {
        "splits": [_split(name, found, registry, budget) for name in names],
        "aligned": any(_units(run, rows[0][0]) for name in names for run, rows in judged(found, name)),
        "missing": None if names else "No clip has been scored yet.",
        "commands": [run.command("report", again=["--json"]) for run in found if run.splits],
    }


def _split(name: str, found: Sequence[Run], registry: Registry, budget: int) -> dict[str, Any]:
    answers = _answers(name, found)
    errors = {clip: total(a.edits for a in said).errors for clip, said in answers.items()}
    worst = [clip for clip in sorted(errors, key=lambda clip: (-errors[clip], clip)) if errors[clip]][:WORST]
    first, _ = judged(found, name)[0]
    heard: dict[str, str] = {}
    silent = f"The sounds are not in here; `{first.command('report')}` puts them in."
    if budget:
        heard, silent = sounds(first, name, worst, registry, budget)
    return {
        "split": name,
        "metric": first.counting.name if first.counting else None,
        "shown": len(worst),
        "wrong": sum(1 for count in errors.values() if count),
        "clips": len(errors),
        "errors": sum(errors[clip] for clip in worst),
        "all_errors": sum(errors.values()),
        "silent": silent if worst else "",
        "worst": [_clip(clip, answers[clip], heard.get(clip)) for clip in worst],
    }


def _answers(name: str, found: Sequence[Run]) -> dict[str, list[Answer]]:
    """Return what all runs said to each clip, judged by each run's first metric that counts edits."""
    answers: dict[str, list[Answer]] = {}
    for run, rows in judged(found, name):
        for prediction, edits in rows:
            answers.setdefault(prediction.id, []).append(Answer(run, prediction, edits))
    return answers


def _clip(clip: str, said: Sequence[Answer], sound: str | None) -> dict[str, Any]:
    first = said[0].prediction
    return {
        "id": clip,
        "seconds": first.seconds,
        "cluster": first.cluster if first.cluster != first.reference else None,
        "prompt": first.prompt,
        "references": list(first.accepted),
        "sound": sound,
        "answers": [_answer(one) for one in said],
    }


def _answer(one: Answer) -> dict[str, Any]:
    units = _units(one.run, one.prediction)
    pieces = None if units is None else aligned(units)
    return {
        "run": one.run.name,
        "hypothesis": one.prediction.hypothesis,
        "stop": one.prediction.stop,
        **attrs.asdict(one.edits),
        "errors": one.edits.errors,
        "between": units.between if units else " ",
        "pieces": None if pieces is None else pieces[:_PIECES],
        "hidden": len((pieces or [])[_PIECES:]),
    }


def _units(run: Run, prediction: Prediction) -> Units | None:
    return run.counting.units(prediction) if run.counting else None
