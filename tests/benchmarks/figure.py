"""A measured figure, and the table of them all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Does the work once from its start, and returns the CPU seconds of each of its steps.
    Contender = Callable[[], list[float]]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Figure:
    """One number with the bound that it has to keep.

    :param value: what is compared with the bound.
    :param bound: its limit; None where it is only reported.
    :param at_least: whether the bound is the smallest allowed value, not the largest.
    :param detail: the numbers behind it.
    """

    name: str
    value: float
    bound: float | None = None
    at_least: bool = False
    detail: str = ""

    @property
    def holds(self) -> bool:
        """Whether the bound is kept."""
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def wanted(self) -> str:
        """The bound in words."""
        return "" if self.bound is None else f"{'≥' if self.at_least else '≤'} {self.bound:g}"


def fastest(repeats: int, **contenders: Contender) -> dict[str, float]:
    """Let contenders work in turns; return each one's seconds: the sum over steps of a step's fastest repeat.

    CPU seconds of this process on one thread: they leave out what else a shared machine does, and a step
    waits for nothing. Turns and minima leave out warm-up and slow moments.
    """
    rounds: dict[str, list[list[float]]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            rounds[name].append(contender())
    return {name: sum(map(min, zip(*laps, strict=True))) for name, laps in rounds.items()}


def timed(work: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    """Return the result of some work and the CPU seconds that this process spent on it."""
    begun = time.process_time()
    result = work(*arguments)
    return result, time.process_time() - begun


def table(figures: list[Figure]) -> Table:
    """Return the figures as a table for people."""
    found = Table("figure", "value", "wanted", "", "detail")
    for figure in figures:
        mark = "" if figure.bound is None else "[green]ok[/]" if figure.holds else "[red]missed[/]"
        found.add_row(figure.name, f"{figure.value:.3g}", figure.wanted, mark, figure.detail)
    return found
