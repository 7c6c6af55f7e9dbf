"""Which examples can be used, with an account of those that cannot."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.naming import some
from steermoe_core.data.audio import waveform as audio
from steermoe_core.data.split import TEST
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from steermoe_core.data.example import Example

#: Why a clip that has no duration is left out.
UNREADABLE = "cannot be read"
#: So many names are enough in a sentence; the report keeps them all.


@attrs.frozen(kw_only=True)
class Report:
    """What was kept of a set of examples; as text, one sentence.

    :param total: examples that there were.
    :param seconds: duration of the kept ones.
    :param left_out: for each reason (``"longer than 30 s"``), the names of the examples it left out.
    :param cut: names of those that are used with a shorter prompt.
    """

    total: int
    seconds: float
    left_out: Mapping[str, Sequence[str]]
    cut: Sequence[str] = ()

    @property
    def kept(self) -> int:
        """Return how many examples are left."""
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
    :returns: the kept examples in their order, and the account of the others.
    :raises DataError: when too many clips cannot be read, or none is left.
    """
    kept, report = sorted_out(examples, min_seconds, max_seconds)
    _check_share(report, max_bad)
    return _check_any(kept, report), report


def sorted_out(
    examples: Sequence[Example], min_seconds: float, max_seconds: float
) -> tuple[list[Example], Report]:
    """Do what `usable` does, whatever is left and however many cannot be read."""
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
    """Read every clip whole: one that cannot be decoded has nan seconds, the others their true duration.

    :param progressed: told of each clip that was read.
    """
    clips = list(dict.fromkeys(example.audio for example in examples))  # several examples may share one
    lengths = {}
    for clip, found in zip(clips, audio.decoded(clips), strict=True):
        lengths[clip] = math.nan if isinstance(found, DataError) else found
        progressed(1)
    return [attrs.evolve(example, seconds=lengths[example.audio] / example.speed) for example in examples]


def trainable(examples: Sequence[Example]) -> Sequence[Example]:
    """Return the examples as they are, if none of them belongs to a test part.

    :raises DataError: naming the first that do.
    """
    return _without_tests(examples, "be trained on")


def choosable(examples: Sequence[Example]) -> Sequence[Example]:
    """Return the examples as they are, if they may say which step is best: none belongs to a test part.

    :raises DataError: naming the first that do.
    """
    return _without_tests(examples, "say which step is best")


def readable(examples: Sequence[Example], place: str) -> Sequence[Example]:
    """Return the examples as they are, if at least one of them can be read.

    :param place: what an error calls the set.
    :raises DataError: none can.
    """
    if not any(example.seconds > 0.0 for example in examples):
        msg = f"{place}: none of its {len(examples)} clips can be read ({_complaint(examples[0])})"
        raise DataError(msg)
    return examples


def _without_tests(examples: Sequence[Example], use: str) -> Sequence[Example]:
    if tests := [example.id for example in examples if is_test(example.split)]:
        msg = f"{len(tests)} clips of a test part cannot {use} ({some(tests)}); choose another split"
        raise DataError(msg)
    return examples


def is_test(split: str | None) -> bool:
    """Tell whether a part is called a test: `test`, `test.clean`, `Test_other`."""
    return split is not None and TEST in re.findall(r"[a-z]+", split.lower())


def _complaint(example: Example) -> str:
    if isinstance(found := next(audio.decoded([example.audio])), DataError):
        return str(found)
    return f"{example.id}: its duration is given as {example.seconds} s"


def _check_share(report: Report, max_bad: float) -> None:
    complaints = report.left_out[UNREADABLE]
    if len(complaints) > max_bad * report.total:
        msg = (
            f"{len(complaints)} of {report.total} clips cannot be read, more than the share {max_bad:g} "
            f"that data.max_bad allows ({some(complaints)}); mend or remove them, or raise data.max_bad"
        )
        raise DataError(msg)


def _check_any(kept: list[Example], report: Report) -> list[Example]:
    if not kept:
        msg = f"no clip is left: {report}"
        raise DataError(msg)
    return kept
