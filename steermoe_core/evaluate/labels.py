"""Groups of clips to compare: by label, speaker or duration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steermoe_core.errors import UsageError
from steermoe_core.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from steermoe_core.data.example import Example

    #: Of each label, the numbers of the clips that have each of its values.
    Groups = dict[str, dict[str, list[int]]]

#: Labels that every clip has in addition to its source's: third by duration, part, speaker or group.
DURATION, PART, SPEAKER = "duration", "split", "speaker"
#: Numbers of values of the labels that are taken by default.
_VALUES = range(2, 13)
_THIRDS = ("short", "middle", "long")


def groups(examples: Sequence[Example], labels: Sequence[str] | None) -> Groups:
    """Return the groups by each label; clips that lack a label are in none of its groups.

    :param labels: None takes every label of 2 to 12 values.
    :raises UsageError: no clip has such a label.
    """
    known = {name: _values(name, examples) for name in _names(examples)}
    grouped = {name: _grouped(values) for name, values in known.items() if any(values)}
    if labels is None:
        return {name: values for name, values in grouped.items() if len(values) in _VALUES}
    if unknown := [name for name in labels if name not in grouped]:
        names = ", ".join(grouped) or "none"
        msg = f"no clip has the label {unknown[0]!r}{did_you_mean(unknown[0], grouped)} (labels: {names})"
        raise UsageError(msg)
    return {name: grouped[name] for name in labels}


def _names(examples: Iterable[Example]) -> Iterable[str]:
    labels = dict.fromkeys(name for example in examples for name in example.labels)
    return dict.fromkeys([DURATION, PART, SPEAKER, *labels])


def _values(name: str, examples: Sequence[Example]) -> list[str | None]:
    if any(name in example.labels for example in examples):
        return [example.labels.get(name) for example in examples]
    if name == DURATION:
        return _durations([example.seconds for example in examples])
    return [example.split if name == PART else example.cluster for example in examples]


def _durations(seconds: Sequence[float]) -> list[str | None]:
    """Return the third of each clip, with its limits: ``short (to 1.9 s)``."""
    if not seconds:
        return []
    low, high = np.quantile(seconds, (1 / 3, 2 / 3))
    limits = (f"to {low:.1f} s", f"to {high:.1f} s", f"over {high:.1f} s")
    names = [f"{third} ({limit})" for third, limit in zip(_THIRDS, limits, strict=True)]
    return [names[int(length > low) + int(length > high)] for length in seconds]


def _grouped(values: Sequence[str | None]) -> dict[str, list[int]]:
    """Return the clips of each value, the values in order: numbers as numbers, thirds from short to long."""
    grouped: dict[str, list[int]] = {}
    for number, value in enumerate(values):
        if value:
            grouped.setdefault(value, []).append(number)
    return dict(sorted(grouped.items(), key=lambda item: _order(item[0])))


def _order(value: str) -> tuple[float, str]:
    third = value.partition(" (")[0]
    if third in _THIRDS:
        return float(_THIRDS.index(third)), value
    return (float(value), value) if value.isdecimal() else (float("inf"), value)
