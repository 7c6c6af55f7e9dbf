"""The cells of a sweep: one experiment for each combination of its axes' values, all checked together."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.naming import some
from steermoe_core.config.resolve import Resolved, complete, opened, problem_error
from steermoe_core.config.text.overrides import lay_overrides
from steermoe_core.config.text.write import inline
from steermoe_core.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.config.text.axes import Axis
    from steermoe_core.config.text.problems import Problem
    from steermoe_core.plugins import Registry

#: The value of each axis of a sweep, by its key.
AxisValues = dict[str, Any]

#: Maximum number of experiments in a sweep; each is checked and run separately.
MOST = 10_000


@attrs.frozen
class Cell:
    """One experiment of a sweep.

    :param resolved: the same as `steermoe run FILE --set KEY=VALUE …` would resolve.
    """

    settings: AxisValues
    resolved: Resolved = attrs.field(repr=False)

    def __str__(self) -> str:
        """Return the settings on one line."""
        return shown_settings(self.settings)


def shown_settings(settings: AxisValues) -> str:
    """Return settings on one line."""
    return ", ".join(f"{name} = {inline(value)}" for name, value in settings.items())


def resolve_sweep(path: Path, overrides: Sequence[str], registry: Registry) -> list[Cell]:
    """Return the cells of a sweep, with the last axis changing fastest, or the one experiment of a file.

    :param overrides: ``KEY=VALUE`` texts of `--set` flags; one with the key of an axis replaces it.
    :raises ConfigError: with every problem of every cell, and where two cells are the same experiment.
    :raises PluginError: when only missing or broken components are wrong.
    """
    layers, axes, problems = opened(path, overrides)
    if problems:
        raise problem_error(problems)
    count = prod(len(axis.values) for axis in axes)
    if count > MOST:
        longest = max(axes, key=lambda axis: len(axis.values))
        message = f"the sweep has {count} experiments; the maximum is {MOST}"
        raise problem_error([longest.problem("E301", message, hint="this is its longest axis")])
    cells: list[Cell] = []
    wrong: dict[Problem, list[str]] = {}
    places = list(product(*(range(len(axis.values)) for axis in axes)))
    for place in places:
        settings = {axis.name: axis.values[index] for axis, index in zip(axes, place, strict=True)}
        own = layers.copy()
        faults = lay_overrides(own, [axis.override(index) for axis, index in zip(axes, place, strict=True)])
        try:
            cells.append(Cell(settings, complete(own, path, faults, registry)))
        except (ConfigError, PluginError) as error:
            for problem in error.problems:
                wrong.setdefault(problem, []).append(shown_settings(settings))
    if wrong:
        raise problem_error([_in_cells(problem, where, len(places)) for problem, where in wrong.items()])
    if same := list(_same(cells, places, axes)):
        raise problem_error(same)
    return cells


def _in_cells(problem: Problem, cells: list[str], count: int) -> Problem:
    """Return a problem with a note about the cells that have it, unless all of them do.

    :param count: cells of the sweep.
    """
    if len(cells) == count:
        return problem
    return attrs.evolve(problem, notes=(*problem.notes, f"in the cell {some(cells, most=1)}"))


def _same(cells: list[Cell], places: list[tuple[int, ...]], axes: list[Axis]) -> Iterator[Problem]:
    """Yield a problem for each value that produces an experiment a second time."""
    first: dict[str, int] = {}
    reported = set()
    for number, cell in enumerate(cells):
        other = first.setdefault(cell.resolved.digest, number)
        pairs = zip(axes, places[number], places[other], strict=True)
        differs = next(((axis, index) for axis, index, before in pairs if index != before), None)
        if differs is None or differs in reported:
            continue
        reported.add(differs)
        axis, index = differs
        message = f"the cells {cells[other]} and {cell} are the same experiment"
        yield axis.problem("E305", message, index, hint="remove one")
