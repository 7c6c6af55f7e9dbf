"""What an experiment trains on and scores: counts, lengths, what is left out; no model is loaded."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import attrs

from steermoe_core.data.usable import UNREADABLE, Report, decoded, filtered, refuse_tests
from steermoe_core.errors import DataError, SteermoeError
from steermoe_core.model.decoder import load_tokenizer
from steermoe_core.model.weights import shapes_only
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.preview.overlap import overlap
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.component import Selection
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console

#: A histogram has at most so many bars, fewer where there are few values.
_BARS = 12


@attrs.frozen(kw_only=True)
class Set:
    """One source of an experiment.

    :param name: `data.train` (numbered where there are several), `data.validate` or `data.eval.NAME`.
    :param role: `train`, `validate` or `eval`.
    :param share: of an epoch's clips, where the experiment weighs its sources.
    """

    name: str
    role: Literal["train", "validate", "eval"]
    source: Selection
    share: float | None = None


def overview(
    resolved: Resolved, registry: Registry, console: Console, *, examples: int, decode: bool
) -> dict[str, Any]:
    """Return the facts as plain values.

    :param examples: clips shown of each set.
    :param decode: read every clip whole, not only its header.
    :raises DataError: a source cannot be read at all.
    """
    builder = Builder(resolved.experiment, registry)
    collator = _collator(builder)
    trained: list[Example] = []
    scored, sets, problems = {}, [], []
    for one in _sets(builder):
        read = _read(builder, one, console, decode=decode)
        kept, report, faults = _account(builder, one, read, collator)
        if one.role == "train":
            trained += kept
        else:
            scored[one.name] = kept
        problems += [f"{one.name}: {fault}" for fault in faults]
        sets.append(_facts(one, read, report, collator, examples))
    shared = [{"set": name, **plain(one)} for name, one in overlap(trained, scored, console).items()]
    return {"sets": sets, "overlap": shared, "problems": problems}


def histogram(values: Sequence[float]) -> list[dict[str, float]]:
    """Return bars of one width, a round number, that hold all values: from (inclusive), to, count."""
    if not values:
        return []
    low, high, most = min(values), max(values), min(_BARS, 2 * math.isqrt(len(values)) + 1)
    least = 1 if all(isinstance(value, int) for value in values) else 0
    wide = (width for width in _widths(high) if width >= least)
    width = next(width for width in wide if _bar(high, width) - _bar(low, width) < most)
    first = _bar(low, width)
    counts = [0] * (_bar(high, width) - first + 1)
    for value in values:
        counts[_bar(value, width) - first] += 1
    return [
        {"from": round((first + bar) * width, 6), "to": round((first + bar + 1) * width, 6), "clips": count}
        for bar, count in enumerate(counts)
    ]


def _bar(value: float, width: float) -> int:
    """Return the number of a value's bar; 0.3 begins a bar of width 0.1 whatever its last binary digit."""
    return math.floor(value / width + 1e-9)


def _widths(largest: float) -> Iterator[float]:
    """Yield round numbers, from a tenth of the largest value or less on."""
    power = 10.0 ** (math.floor(math.log10(largest)) - 1 if largest > 0 else 0)
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _sets(builder: Builder) -> Iterator[Set]:
    data = builder.experiment.data
    for number, source in enumerate(data.train):
        name = "data.train" if len(data.train) == 1 else f"data.train {number + 1}"
        share = data.weights[number] / sum(data.weights) if data.weights else None
        yield Set(name=name, role="train", source=source, share=share)
    if data.validate is not None:
        yield Set(name="data.validate", role="validate", source=data.validate)
    for name, source in data.eval.items():
        yield Set(name=f"data.eval.{name}", role="eval", source=source)


def _read(builder: Builder, one: Set, console: Console, *, decode: bool) -> list[Example]:
    with console.task(f"reading {one.name}"):
        found: list[Example] = list(builder.part(one.source))
    if not decode and builder.experiment.data.check != "decode":
        return found
    with console.progress() as progress:
        total = len({example.audio for example in found})
        task = progress.add_task(f"decoding {one.name}", total=total, note="")
        return decoded(found, lambda clips: progress.advance(task, clips))


def _account(
    builder: Builder, one: Set, read: list[Example], collator: Collator | None
) -> tuple[list[Example], Report, list[str]]:
    """Return what the run would use of a set, what it would leave out, and why it would not start."""
    data, longest, faults = builder.experiment.data, _longest(builder), []
    try:
        if one.role != "eval":
            refuse_tests(read, one.role)
    except DataError as error:
        faults.append(str(error))
    if one.role != "train":
        kept, report = filtered(read, 0.0, longest)
        return kept, report, faults if kept else [*faults, "no clip is left"]
    kept, report = filtered(read, data.min_seconds, min(longest / builder.stretch, data.max_seconds))
    bad = len(report.left_out[UNREADABLE])
    if bad > data.max_bad * len(read):
        faults.append(f"{bad} of {len(read)} clips cannot be read, more than data.max_bad allows")
    try:
        if collator and kept:
            kept, answers = builder.fitting(collator, kept)
            left_out = {**report.left_out, **answers.left_out}
            report = attrs.evolve(report, seconds=answers.seconds, left_out=left_out)
    except DataError as error:
        faults.append(str(error))
    return kept, report, faults if kept else [*faults, "no clip is left"]


def _facts(
    one: Set, read: list[Example], report: Report, collator: Collator | None, examples: int
) -> dict[str, Any]:
    seconds = [example.seconds for example in read if example.seconds > 0.0]
    clusters = {example.cluster for example in read if example.cluster is not None}
    return {
        "set": one.name,
        "role": one.role,
        "use": one.source.name,
        "share": one.share,
        "clips": report.total,
        "used": report.kept,
        "hours": round(report.seconds / 3600, 4),
        "left_out": {reason: list(names) for reason, names in report.left_out.items() if names},
        "clusters": len(clusters) or None,
        "seconds": _lengths(seconds),
        "words": _lengths([len(example.text.split()) for example in read]),
        "characters": _lengths([len(example.text) for example in read]),
        "tokens": _lengths([len(collator.reference(example)) for example in read]) if collator else None,
        "examples": [_example(example) for example in read[:examples]],
    }


def _lengths(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    found = {"least": min(values), "median": median(values), "most": max(values)}
    return {**{name: round(value, 3) for name, value in found.items()}, "bars": histogram(values)}


def _example(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "seconds": round(example.seconds, 3) if example.seconds > 0.0 else None,
        "prompt": example.prompt,
        "text": example.text,
    }


def _longest(builder: Builder) -> float:
    """Return the longest clip that the encoder takes, as far as its class says so."""
    selection = builder.experiment.encoder
    factory = builder.registry.factory(selection.kind, selection.name)
    longest = getattr(factory, "max_seconds", None)
    return float(longest) if isinstance(longest, (int, float)) else math.inf


def _collator(builder: Builder) -> Collator | None:
    """Return a collator for texts alone; None where the tokenizer is not on this machine."""
    if not hasattr(builder.experiment.decoder.config, "weights"):
        return None
    try:
        with shapes_only():  # nothing is fetched
            tokenizer = load_tokenizer(str(builder.located(builder.experiment.decoder).weights))
    except SteermoeError:
        return None
    if tokenizer is None:
        return None
    collator: Collator = builder.part(builder.experiment.collator, tokenizer, None)
    return collator
