"""How a score is written in a table, and a line about answers that are worse than wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from rich.box import SIMPLE_HEAD
from rich.table import Table

from steermoe_core.evaluate.config import RuleName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steermoe_core.evaluate.scores import Score


def new_table(title: str) -> Table:
    """Return a table without columns, as all tables of scores look."""
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))


def heading(metric: str) -> str:
    """Return a metric's name as a column has it: the text rule, where it is named, on a second line."""
    name, _, rule = metric.partition("-")
    return f"{name.upper()}\n{rule}" if rule in get_args(RuleName) else metric.upper()


def with_interval(score: Score | None) -> str:
    """Return a score's value, and its interval on a second line."""
    if score is None or score.interval is None:
        return plain(score)
    return f"{plain(score)}\n({score.interval.low:.3f}–{score.interval.high:.3f})"


def plain(score: Score | None) -> str:
    """Return a score's value; a dash where there is none."""
    return "–" if score is None or score.value is None else f"{score.value:.3f}"


def pathologies_line(counts: Mapping[str, int], of: int) -> str | None:
    """Return a sentence that counts answers by what is wrong with them; None if nothing is.

    :param of: how many answers there are.
    """
    there = [f"{count} {name}" for name, count in counts.items() if count]
    if not there:
        return None
    return f"{', '.join(there)} among {of} answers (`steermoe score RUN --pathologies` shows them)"
