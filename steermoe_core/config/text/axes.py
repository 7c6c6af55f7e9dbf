"""`[sweep]`: the axes of a file that describes many experiments.

    [sweep]
    "adapter.experts" = [1, 2, 4, 8]
    "experiment.seed" = [17, 18]

A key is one of an experiment, as in a `--set` flag, and each of its values is applied like that flag, except
that paths start at the file's own folder. A flag with the key of an axis replaces the axis. The table itself
is part of no experiment.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.naming import described, dotted
from steermoe_core.config.text.layers import EXTENDS
from steermoe_core.config.text.locate import Span, Spot
from steermoe_core.config.text.overrides import Override, parse_key
from steermoe_core.config.text.syntax import BeyondError
from steermoe_core.config.text.unset import UNSET
from steermoe_core.config.text.write import inline

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from steermoe_core.config.text.layers import Layers
    from steermoe_core.config.text.locate import KeyPath, Toml
    from steermoe_core.config.text.problems import Problem
    from steermoe_core.config.text.source import Source

SWEEP = "sweep"
_NOWHERE = Spot(Span(0, 0), Span(0, 0))


@attrs.frozen(eq=False)
class Axis:
    """A key and its values.

    :param keys: the parts of the key.
    :param values: at least one.
    :param source: where it is written.
    :param path: its key path there.
    """

    keys: tuple[str, ...]
    values: list[Any]
    source: Source
    path: KeyPath

    @property
    def name(self) -> str:
        """The key as TOML writes it."""
        return dotted(self.keys)

    def override(self, index: int) -> Override:
        """Return one of the values as an override."""
        key, item = self._spot(self.path).key, (*self.path, index)
        inner = {
            path[len(item) :]: spot
            for path, spot in self.source.spots.items()
            if path[: len(item)] == item and len(path) > len(item)
        }
        keys = tuple((name, key) for name in self.keys)
        return Override(self.source.excerpt(), keys, self.values[index], self._spot(item).value, inner)

    def problem(self, code: str, message: str, index: int | None = None, **more: Any) -> Problem:
        """Return a problem of the key, or of one of the values."""
        spot = self._spot(self.path if index is None else (*self.path, index))
        return self.source.problem_at(code, message, spot.key, path=self.keys, **more)

    def _spot(self, path: KeyPath) -> Spot:
        return self.source.spots.get(path, _NOWHERE)


def take_axes(layers: Layers, pinned: Collection[tuple[str, ...]]) -> tuple[list[Axis], list[Problem]]:
    """Remove the table from the layers.

    :param pinned: keys that flags set; an axis of such a key is left out.
    :returns: the axes, and what is wrong with the table.
    """
    table = layers.table.pop(SWEEP, None)
    if table is None:
        return [], []
    source, _ = layers.written((SWEEP,))
    if not isinstance(table, dict):
        return [], [source.problem("E101", f"{SWEEP} must be a table, is {described(table)}", (SWEEP,))]
    axes: list[Axis] = []
    problems: list[Problem] = []
    for path, values in _leaves(table, (SWEEP,)):
        source, _ = layers.written(path)
        keys = _parts(path)
        if keys is None or keys[0] in (SWEEP, EXTENDS, UNSET):
            message = f"{inline(dotted(keys) if keys else path[-1])} is not a key of an experiment"
            hint = 'a key looks like "train.steps"'
            problems.append(source.problem("E006", message, path, "key", hint=hint))
            continue
        axis = Axis(keys, values, source, path)
        problems += _faults(axis, axes)
        axes.append(axis)
    if not axes and not problems:
        problems.append(source.problem("E103", "the sweep has no axis", (SWEEP,), hint='"KEY" = [VALUE, …]'))
    return [axis for axis in axes if axis.keys not in pinned], problems


def unpinned(axes: list[Axis], file: str) -> Problem:
    """Return the problem of a sweep in a place that needs one experiment."""
    names = " and ".join(axis.name for axis in axes)
    flags = " ".join(f"--set {quote(f'{axis.name}={inline(axis.values[0])}')}" for axis in axes)
    hint = f"steermoe sweep {file} runs every experiment; {flags} selects one"
    return axes[0].problem("E007", f"the file is a sweep over {names}", hint=hint)


def _leaves(table: Toml, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _parts(path: KeyPath) -> tuple[str, ...] | None:
    """Return the parts of an axis's key, of which a quoted key may hold several; None if it is not a key."""
    try:
        found = [parse_key(f"{key}=") for key in path[1:]]
    except BeyondError:
        return None
    if any(keys is None for keys in found):
        return None
    return tuple(name for keys in found for name, _ in keys or ())


def _faults(axis: Axis, others: list[Axis]) -> Iterator[Problem]:
    if not isinstance(axis.values, list):
        message = f"{axis.name} must be a list of values, is {described(axis.values)}"
        yield axis.problem("E101", message, hint=f"write [{inline(axis.values)}]")
    elif not axis.values:
        yield axis.problem("E301", f"the axis {axis.name} has no values")
    if any(axis.keys == other.keys for other in others):
        yield axis.problem("E302", f"the axis {axis.name} occurs twice")
