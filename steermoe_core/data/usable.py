"""Which examples can be used, with an account of those that cannot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.check.test_splits import RULES, is_test
from steermoe_core.config.naming import some
from steermoe_core.data.audio import waveform
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from steermoe_core.config.check.test_splits import Table
    from steermoe_core.data.example import Example

#: The reason that leaves out a clip without a duration.
UNREADABLE = "cannot be read"


@attrs.frozen(kw_only=True)
class Report:
    """Which examples of a set are used; as text, one sentence.

    :param total: examples of the set.
    :param seconds: duration of those that are used.
    :param left_out: for each reason (``"longer than 30 s"``), the ids of the examples it left out.
    :param cut: ids of those that are used with a shorter prompt.
    """

    total: int
    seconds: float
    left_out: Mapping[str, Sequence[str]]
    cut: Sequence[str] = ()

    @property
    def kept(self) -> int:
        """Return the number of examples that are used."""
        return self.total - sum(map(len, self.left_out.values()))

    def __str__(self) -> str:
        """Return a sentence with every count and the first names."""
        used = f"{self.kept} of {self.total} clips are used ({self.seconds / 60:.1f} minutes)"
        reasons = [
            f"{len(names)} {reason}: {some(names)}" for reason, names in self.left_out.items() if names
        ]
        cut = [f"{len(self.cut)} with their prompt cut: {some(self.cut)}"] if self.cut else []
        return "; ".join([used, *reasons, *cut]) + "."


def usable(
    examples: Sequence[Example], min_seconds: float, max_seconds: float, max_bad: float
) -> tuple[list[Example], Report]:
    """Leave out clips that are too short, too long or cannot be read.

    :param min_seconds: shortest clip that is kept.
    :param max_seconds: longest clip that is kept.
    :param max_bad: largest share of unreadable clips; more are an error.
    :returns: the examples that are kept, in their order, and the report.
    :raises DataError: when too many clips cannot be read, or none is left.
    """
    kept, report = filtered(examples, min_seconds, max_seconds)
    complaints = report.left_out[UNREADABLE]
    if len(complaints) > max_bad * report.total:
        msg = (
            f"{len(complaints)} of {report.total} clips cannot be read, more than the share {max_bad:g} "
            f"that data.max_bad allows ({some(complaints)}); fix or remove them, or raise data.max_bad"
        )
        raise DataError(msg)
    return not_empty(kept, report), report


def filtered(
    examples: Sequence[Example], min_seconds: float, max_seconds: float
) -> tuple[list[Example], Report]:
    """Filter as `usable` does, without its errors."""
    bad = [example for example in examples if not example.seconds > 0.0]  # nan is not
    short = [example.id for example in examples if 0.0 < example.seconds < min_seconds]
    long = [example.id for example in examples if example.seconds > max_seconds]
    kept = [e for e in examples if e.seconds > 0.0 and min_seconds <= e.seconds <= max_seconds]
    left_out = {
        f"shorter than {min_seconds:g} s": short,
        f"longer than {max_seconds:g} s": long,
        UNREADABLE: [_complaint(example) for example in bad],
    }
    report = Report(total=len(examples), seconds=sum(example.seconds for example in kept), left_out=left_out)
    return kept, report


def decoded(examples: Sequence[Example], progressed: Callable[[int], None] = lambda _: None) -> list[Example]:
    """Decode every clip whole: one that cannot be decoded has nan seconds, the others their true duration.

    :param progressed: called with 1 after each clip.
    """
    clips = list(dict.fromkeys(example.audio for example in examples))  # several examples may share one
    lengths = {}
    for clip, length in zip(clips, waveform.decode_all(clips), strict=True):
        lengths[clip] = math.nan if isinstance(length, DataError) else length
        progressed(1)
    return [attrs.evolve(example, seconds=lengths[example.audio] / example.speed) for example in examples]


def refuse_tests(examples: Sequence[Example], table: Table) -> None:
    """Apply the rule for test splits.

    :param table: the table of [data] that the examples are from.
    :raises DataError: some belong to a test split; the error names the first of them.
    """
    if tests := [example.id for example in examples if is_test(example.split)]:
        msg = f"data.{table} has {len(tests)} clips of a test split ({some(tests)}): {RULES[table]}"
        raise DataError(msg)


def readable(examples: list[Example], place: str) -> list[Example]:
    """Return the examples unchanged, unless none of them can be read.

    :param place: name of the set in an error.
    :raises DataError: none can be read.
    """
    if not any(example.seconds > 0.0 for example in examples):
        msg = f"{place}: none of its {len(examples)} clips can be read ({_complaint(examples[0])})"
        raise DataError(msg)
    return examples


def not_empty(kept: list[Example], report: Report) -> list[Example]:
    """Return the examples that are kept.

    :raises DataError: there are none; the error is the report.
    """
    if not kept:
        msg = f"no clip is left: {report}"
        raise DataError(msg)
    return kept


def _complaint(example: Example) -> str:
    if isinstance(error := next(waveform.decode_all([example.audio])), DataError):
        return str(error)
    return f"{example.id}: its duration is given as {example.seconds} s"
