"""The clips with the most errors: their prompt, references and answers, and their audio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from rapidfuzz.distance import Levenshtein

from steermoe_core.evaluate.metrics import total
from steermoe_core.report.runs import answers_to, split_names
from steermoe_core.report.section import Section
from steermoe_core.report.sounds import sounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.evaluate.metrics import Units
    from steermoe_core.plugins import Registry
    from steermoe_core.report.runs import Answer, Run
    from steermoe_core.system.records import Json

#: Clips shown of a split, and bytes of the page that all sounds together may take.
WORST, SOUNDS = 10, 2_000_000
#: Pieces of an alignment that are shown; an answer that never ends has more.
_PIECES = 120


@attrs.frozen
class Piece:
    """A piece of an alignment: one edit, or several units that are the same.

    :param kind: "same", "substitution", "deletion" or "insertion".
    """

    kind: str
    reference: str
    hypothesis: str


def clips(runs: Sequence[Run], registry: Registry, *, audio: bool = True) -> Section:
    """Return the worst clips of each split, with the answers of all runs side by side.

    :param audio: whether to embed their sounds.
    """
    answers = {name: found for name in split_names(runs) if (found := answers_to(name, runs))}
    budget = SOUNDS // len(answers) if answers and audio else 0
    return Section(
        content={
            "splits": [_split(name, found, registry, budget) for name, found in answers.items()],
            "aligned": any(_units(run, rows[0]) for found in answers.values() for run, rows in found),
        },
        missing=None if answers else "No clip has been scored yet.",
        commands=[run.command("report", flags=["--json"]) for run in runs if run.splits],
    )


def aligned(units: Units) -> list[Piece]:
    """Return the pieces of an alignment with the fewest edits, as jiwer counts them."""
    return list(_pieces(units.reference, units.hypothesis, units.between))


def _split(
    name: str, answers: Sequence[tuple[Run, Sequence[Answer]]], registry: Registry, budget: int
) -> Json:
    by_clip: dict[str, list[tuple[Run, Answer]]] = {}
    for run, rows in answers:
        for answer in rows:
            by_clip.setdefault(answer.prediction.id, []).append((run, answer))
    errors = {clip: total(one.edits for _, one in found).errors for clip, found in by_clip.items()}
    worst = [clip for clip in sorted(errors, key=lambda clip: (-errors[clip], clip)) if errors[clip]][:WORST]
    first, _ = answers[0]
    playable: dict[str, str] = {}
    silent = f"The sounds are not in here; `{first.command('report')}` puts them in."
    if budget:
        playable, silent = sounds(first, name, worst, registry, budget)
    return {
        "split": name,
        "metric": first.counting.name if first.counting else None,
        "shown": len(worst),
        "wrong": sum(1 for count in errors.values() if count),
        "clips": len(errors),
        "errors": sum(errors[clip] for clip in worst),
        "all_errors": sum(errors.values()),
        "silent": silent if worst else "",
        "worst": [_clip(by_clip[clip], playable.get(clip)) for clip in worst],
    }


def _clip(answers: Sequence[tuple[Run, Answer]], sound: str | None) -> Json:
    clip = answers[0][1].prediction
    return {
        "id": clip.id,
        "seconds": clip.seconds,
        "cluster": clip.cluster if clip.cluster != clip.reference else None,
        "prompt": clip.prompt,
        "references": clip.accepted,
        "sound": sound,
        "answers": [_answer(run, answer) for run, answer in answers],
    }


def _answer(run: Run, answer: Answer) -> Json:
    units = _units(run, answer)
    pieces = None if units is None else aligned(units)
    return {
        "run": run.name,
        "hypothesis": answer.prediction.hypothesis,
        "stop": answer.prediction.stop,
        **attrs.asdict(answer.edits),
        "errors": answer.edits.errors,
        "between": units.between if units else " ",
        "pieces": None if pieces is None else pieces[:_PIECES],
        "hidden": len((pieces or [])[_PIECES:]),
    }


def _units(run: Run, answer: Answer) -> Units | None:
    return run.counting.units(answer.prediction) if run.counting else None


def _pieces(reference: Sequence[str], hypothesis: Sequence[str], between: str) -> Iterator[Piece]:
    for step in Levenshtein.opcodes(reference, hypothesis):
        old, new = reference[step.src_start : step.src_end], hypothesis[step.dest_start : step.dest_end]
        if step.tag == "equal":
            yield Piece("same", between.join(old), between.join(new))
        elif step.tag == "insert":
            yield from (Piece("insertion", "", unit) for unit in new)
        elif step.tag == "delete":
            yield from (Piece("deletion", unit, "") for unit in old)
        else:
            yield from (Piece("substitution", *pair) for pair in zip(old, new, strict=True))
