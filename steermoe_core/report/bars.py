"""Rows of bars: a label, a length, a number; of several runs one bar below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.report.wording import count, figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Group = dict[str, Any]


@attrs.frozen
class Bar:
    """One bar.

    :param length: in percent of the longest; None where there is no value.
    :param text: its value.
    :param series: number of the run.
    """

    label: str
    length: float | None
    text: str
    series: int


def by_duration(split: dict[str, Any]) -> list[Bar]:
    """Return the scores of clips of about one length."""

    def label(group: Group) -> str:
        return f"{figure(group['from'], 1)} – {figure(group['to'], 1)} s"

    return _bars(split["by_duration"], label, "value", figure)


def by_clip(split: dict[str, Any]) -> list[Bar]:
    """Return how many clips have so many errors."""

    def label(group: Group) -> str:
        return f"{group['errors']} or more" if group["more"] else str(group["errors"])

    return _bars(split["by_clip"], label, "clips", count)


def durations(split: dict[str, Any]) -> list[Bar]:
    """Return how many clips are about so long."""

    def label(group: Group) -> str:
        return f"{group['from']:g} – {group['to']:g} s"

    return _bars([{"run": "", "groups": split["durations"]}], label, "clips", count)


def _bars(
    runs: Sequence[dict[str, Any]], label: Callable[[Group], str], key: str, text: Callable[[Any], str]
) -> list[Bar]:
    rows = list(_rows(runs))
    longest = max((group[key] or 0 for _, group in rows), default=0) or 1
    return [
        Bar(
            label=label(group) if len(runs) == 1 else f"{label(group)}, {runs[series]['run']}",
            length=100 * group[key] / longest if group[key] is not None else None,
            text=text(group[key]),
            series=series,
        )
        for series, group in rows
    ]


def _rows(runs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, Group]]:
    """Yield the first group of each run, then the second of each, with the number of the run."""
    for number in range(max((len(run["groups"]) for run in runs), default=0)):
        for series, run in enumerate(runs):
            if number < len(run["groups"]):
                yield series, run["groups"][number]
