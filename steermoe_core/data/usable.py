"""Which examples can be used, with an account of those that cannot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_core.config.check.test_splits import RULES, is_test
from steermoe_core.config.naming import some
from steermoe_core.data.audio import waveform
from steermoe_core.data.examples import Examples
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
) -> tuple[Examples, Report]:
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


def filtered(examples: Sequence[Example], min_seconds: float, max_seconds: float) -> tuple[Examples, Report]:
    """Filter as `usable` does, without its errors."""
    found = Examples.of(examples)
    seconds = found.seconds
    readable = seconds > 0.0  # nan is not
    short, long = readable & (seconds < min_seconds), seconds > max_seconds
    left_out = {
        f"shorter than {min_seconds:g} s": list(found.take(short).values("id")),
        f"longer than {max_seconds:g} s": list(found.take(long).values("id")),
        UNREADABLE: [_complaint(example) for example in found.take(~readable)],
    }
    kept = found.take(readable & ~short & ~long)
    return kept, Report(total=len(found), seconds=sum(kept.durations()), left_out=left_out)


def decoded(examples: Sequence[Example], progressed: Callable[[int], None] = lambda _: None) -> Examples:
    """Decode every clip whole: one that cannot be decoded has nan seconds, the others their true duration.

    :param progressed: called with 1 after each clip.
    """
    found = Examples.of(examples)
    clips = list(dict.fromkeys(found.values("audio")))  # several examples may share one
    lengths = {}
    for clip, length in zip(clips, waveform.decode_all(clips), strict=True):
        lengths[clip] = math.nan if isinstance(length, DataError) else length
        progressed(1)
    return found.lasting(np.array([lengths[clip] for clip in found.values("audio")]) / found.speeds)


def refuse_tests(examples: Sequence[Example], table: Table) -> None:
    """Apply the rule for test splits.

    :param table: the table of [data] that the examples are from.
    :raises DataError: some belong to a test split; the error names the first of them.
    """
    found = Examples.of(examples)
    if wrong := {split for split in set(found.values("split")) if is_test(split)}:
        tests = list(found.take(np.array([one in wrong for one in found.values("split")])).values("id"))
        msg = f"data.{table} has {len(tests)} clips of a test split ({some(tests)}): {RULES[table]}"
        raise DataError(msg)


def readable(examples: Sequence[Example], place: str) -> Sequence[Example]:
    """Return the examples unchanged, unless none of them can be read.

    :param place: name of the set in an error.
    :raises DataError: none can be read.
    """
    if not (Examples.of(examples).seconds > 0.0).any():
        msg = f"{place}: none of its {len(examples)} clips can be read ({_complaint(examples[0])})"
        raise DataError(msg)
    return examples


def not_empty(kept: Examples, report: Report) -> Examples:
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
