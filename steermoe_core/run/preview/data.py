"""What an experiment trains on and scores: counts, lengths, what is left out; no model is loaded."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Literal

import attrs

from steermoe_core.data.examples import Examples
from steermoe_core.data.usable import UNREADABLE, Report, decoded, filtered, refuse_tests
from steermoe_core.errors import DataError, SteermoeError
from steermoe_core.model.decoder import load_tokenizer
from steermoe_core.model.weights import shapes_only
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.preview.overlap import overlap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.component import Selection
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console
    from steermoe_core.run.preview.overlap import Overlap
    from steermoe_core.system.records import Json

#: Maximum number of bins of a histogram; a histogram of few values has fewer.
_BINS = 12


@attrs.frozen(kw_only=True)
class Bin:
    """A bin of a histogram: the clips with a value from `low` (inclusive) to `high`."""

    low: float
    high: float
    clips: int

    def to_json(self) -> Json:
        """Return the fields."""
        return {"from": self.low, "to": self.high, "clips": self.clips}


@attrs.frozen(kw_only=True)
class Lengths:
    """The distribution of a length."""

    least: float
    median: float
    most: float
    bars: list[Bin]


@attrs.frozen(kw_only=True)
class Clip:
    """An example of a set; its seconds are None if it cannot be read."""

    id: str
    seconds: float | None
    prompt: str | None
    text: str


@attrs.frozen(kw_only=True)
class Set:
    """The clips of one source of an experiment.

    :param set: `data.train` (numbered if there are several), `data.validate` or `data.eval.NAME`.
    :param use: its dataset component.
    :param share: of an epoch's clips, if the experiment weighs its sources.
    :param clips: number of clips; `used`: of those that a run uses; `hours`: of these.
    :param left_out: ids of the others by reason.
    :param clusters: number of speakers or groups; None if no clip has one.
    :param tokens: of the answers; None if the tokenizer is not on this machine.
    :param examples: the first clips.
    """

    set: str
    role: Literal["train", "validate", "eval"]
    use: str
    share: float | None
    clips: int
    used: int
    hours: float
    left_out: dict[str, list[str]]
    clusters: int | None
    seconds: Lengths | None
    words: Lengths | None
    characters: Lengths | None
    tokens: Lengths | None
    examples: list[Clip]


@attrs.frozen(kw_only=True)
class Overview:
    """The data of an experiment.

    :param overlap: what of each set that is not trained on is in the training data, too.
    :param problems: why a run would not start.
    """

    sets: list[Set]
    overlap: dict[str, Overlap]
    problems: list[str]

    def to_json(self) -> Json:
        """Return the fields, the overlap as a list."""
        overlap = [{"set": name, **attrs.asdict(one)} for name, one in self.overlap.items()]
        return {**attrs.asdict(self, recurse=False), "overlap": overlap}


@attrs.frozen(kw_only=True)
class _Source:
    """One source of an experiment, named as in `Set`."""

    name: str
    role: Literal["train", "validate", "eval"]
    selection: Selection
    share: float | None = None


def overview(
    resolved: Resolved, registry: Registry, console: Console, *, examples: int, decode: bool
) -> Overview:
    """Return what an experiment trains on and scores.

    :param examples: number of clips shown of each set.
    :param decode: decode every clip, not only its header.
    :raises DataError: a source cannot be read at all.
    """
    builder = Builder(resolved.experiment, registry)
    collator = _collator(builder)
    trained: list[Examples] = []
    scored, sets, problems = {}, [], []
    for source in _sources(builder):
        read = _read(builder, source, console, decode=decode)
        kept, report, faults = _account(builder, source, read, collator)
        if source.role == "train":
            trained.append(Examples.of(kept))
        else:
            scored[source.name] = kept
        problems += [f"{source.name}: {fault}" for fault in faults]
        sets.append(_set(source, read, report, collator, examples))
    return Overview(sets=sets, overlap=overlap(Examples.joined(trained), scored, console), problems=problems)


def histogram(values: Sequence[float]) -> list[Bin]:
    """Return bins of one width, a round number, that hold all values."""
    if not values:
        return []
    low, high, most = min(values), max(values), min(_BINS, 2 * math.isqrt(len(values)) + 1)
    least = 1 if all(isinstance(value, int) for value in values) else 0
    wide = (width for width in _widths(high) if width >= least)
    width = next(width for width in wide if _bin(high, width) - _bin(low, width) < most)
    first = _bin(low, width)
    counts = [0] * (_bin(high, width) - first + 1)
    for value in values:
        counts[_bin(value, width) - first] += 1
    return [
        Bin(low=round((first + number) * width, 6), high=round((first + number + 1) * width, 6), clips=count)
        for number, count in enumerate(counts)
    ]


def _bin(value: float, width: float) -> int:
    """Return the number of a value's bin; 0.3 begins a bin of width 0.1 whatever its last binary digit."""
    return math.floor(value / width + 1e-9)


def _widths(largest: float) -> Iterator[float]:
    """Yield round numbers, from a tenth of the largest value or less on."""
    power = 10.0 ** (math.floor(math.log10(largest)) - 1 if largest > 0 else 0)
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _sources(builder: Builder) -> Iterator[_Source]:
    data = builder.experiment.data
    for number, selection in enumerate(data.train):
        name = "data.train" if len(data.train) == 1 else f"data.train {number + 1}"
        share = data.weights[number] / sum(data.weights) if data.weights else None
        yield _Source(name=name, role="train", selection=selection, share=share)
    if data.validate is not None:
        yield _Source(name="data.validate", role="validate", selection=data.validate)
    for name, selection in data.eval.items():
        yield _Source(name=f"data.eval.{name}", role="eval", selection=selection)


def _read(builder: Builder, source: _Source, console: Console, *, decode: bool) -> Examples:
    with console.task(f"reading {source.name}"):
        found = Examples.of(builder.part(source.selection))
    if not decode and builder.experiment.data.check != "decode":
        return found
    with console.progress() as progress:
        total = len(set(found.values("audio")))
        task = progress.add_task(f"decoding {source.name}", total=total, note="")
        return decoded(found, lambda clips: progress.advance(task, clips))


def _account(
    builder: Builder, source: _Source, read: Examples, collator: Collator | None
) -> tuple[Examples, Report, list[str]]:
    """Return what the run would use of a set, what it would leave out, and why it would not start."""
    data, longest, faults = builder.experiment.data, _longest(builder), []
    try:
        if source.role != "eval":
            refuse_tests(read, source.role)
    except DataError as error:
        faults.append(str(error))
    if source.role != "train":
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


def _set(source: _Source, read: Examples, report: Report, collator: Collator | None, examples: int) -> Set:
    clusters = set(read.values("cluster")) - {None}
    texts = list(read.values("text"))
    return Set(
        set=source.name,
        role=source.role,
        use=source.selection.name,
        share=source.share,
        clips=report.total,
        used=report.kept,
        hours=round(report.seconds / 3600, 4),
        left_out={reason: list(names) for reason, names in report.left_out.items() if names},
        clusters=len(clusters) or None,
        seconds=_lengths(read.seconds[read.seconds > 0.0].tolist()),
        words=_lengths([len(text.split()) for text in texts]),
        characters=_lengths([len(text) for text in texts]),
        tokens=_lengths([len(collator.reference(example)) for example in read]) if collator else None,
        examples=[_clip(example) for example in read[:examples]],
    )


def _lengths(values: Sequence[float]) -> Lengths | None:
    if not values:
        return None
    least, middle, most = (round(value, 3) for value in (min(values), median(values), max(values)))
    return Lengths(least=least, median=middle, most=most, bars=histogram(values))


def _clip(example: Example) -> Clip:
    seconds = round(example.seconds, 3) if example.seconds > 0.0 else None
    return Clip(id=example.id, seconds=seconds, prompt=example.prompt, text=example.text)


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
