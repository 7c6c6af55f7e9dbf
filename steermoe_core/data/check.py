"""Which examples can be used, with an account of those that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.data.audio import duration
from steermoe_core.data.split import TEST
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steermoe_core.data.example import Example

#: So many names are enough in a sentence; the report keeps them all.
_NAMES = 5


@attrs.frozen(kw_only=True)
class Report:
    """What was kept of a set of examples; as text, one sentence.

    :param total: examples that there were.
    :param seconds: duration of the kept ones.
    :param left_out: for each reason (``"longer than 30 s"``), the names of the examples it left out.
    """

    total: int
    seconds: float
    left_out: Mapping[str, Sequence[str]]

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
        return "; ".join([used, *reasons]) + "."


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
    bad = [example for example in examples if not example.seconds > 0.0]  # nan is not
    short = [example.id for example in examples if 0.0 < example.seconds < min_seconds]
    long = [example.id for example in examples if example.seconds > max_seconds]
    kept = [e for e in examples if e.seconds > 0.0 and min_seconds <= e.seconds <= max_seconds]
    left_out = {
        f"shorter than {min_seconds:g} s": short,
        f"longer than {max_seconds:g} s": long,
        "cannot be read": [_complaint(example) for example in bad],
    }
    _check_share(len(bad), len(examples), max_bad, left_out["cannot be read"])
    report = Report(total=len(examples), seconds=sum(example.seconds for example in kept), left_out=left_out)
    return _check_any(kept, report), report


def trainable(examples: Sequence[Example]) -> Sequence[Example]:
    """Return the examples as they are, if none of them belongs to a test part.

    :raises DataError: naming the first that do.
    """
    if tests := [example.id for example in examples if example.split == TEST]:
        msg = f"{len(tests)} clips of a test part cannot be trained on ({some(tests)}); choose another split"
        raise DataError(msg)
    return examples


def some(names: Sequence[str]) -> str:
    """Return the first names for a sentence, and how many more there are."""
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _complaint(example: Example) -> str:
    try:
        duration(example.audio)
    except DataError as error:
        return str(error)
    return f"{example.id}: its duration is given as {example.seconds} s"


def _check_share(bad: int, total: int, max_bad: float, complaints: Sequence[str]) -> None:
    if bad > max_bad * total:
        msg = (
            f"{bad} of {total} clips cannot be read, more than the share {max_bad:g} that data.max_bad "
            f"allows ({some(complaints)}); mend or remove them, or raise data.max_bad"
        )
        raise DataError(msg)


def _check_any(kept: list[Example], report: Report) -> list[Example]:
    if not kept:
        msg = f"no clip is left: {report}"
        raise DataError(msg)
    return kept
