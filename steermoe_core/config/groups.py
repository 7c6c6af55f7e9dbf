"""Parameter groups: which the chosen components train, and the tables that set values by group.

A file that others extend may set values for groups of components that an experiment does not choose: what
lies below the choice is left out. Any other unknown group is a fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.component import PROJECTOR, Trained
from steermoe_core.config.check.faults import Fault
from steermoe_core.config.experiment import TrainConfig
from steermoe_core.config.fields import fields_of, selections
from steermoe_core.config.naming import shown
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from steermoe_core.component import Component, Selection
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry

    #: Whether the value at a path was written below the choice of a component, in a file that is extended.
    Below = Callable[[KeyPath, str], bool]


@attrs.frozen
class Trains:
    """A parameter group of an experiment.

    :param rate: its default peak learning rate.
    :param kind: of the components that train it.
    :param names: of these components.
    """

    rate: float
    kind: str
    names: tuple[str, ...]

    @property
    def component(self) -> str:
        """The components, as messages write them."""
        return f"{self.kind} {', '.join(map(shown, self.names))}"


@attrs.frozen
class Groups:
    """The parameter groups of an experiment.

    :param known: by name, in the order of projector and adapters.
    :param complete: whether no component can train another group.
    """

    known: dict[str, Trains]
    complete: bool

    def rates(self, written: Mapping[str, float]) -> dict[str, float]:
        """Return the peak learning rate of every group: as written, or its default."""
        rates = {name: written.get(name, group.rate) for name, group in self.known.items()}
        return rates if self.complete else {**rates, **written}


def declared(kind: str, part: Component) -> dict[str, float] | None:
    """Return the groups that a component trains with their default rates; None if they are unknown."""
    if part.groups is not None:
        return part.groups
    return {"adapter": None, "projector": PROJECTOR}.get(kind, {})


def groups_of(projector: Selection, adapters: Sequence[Selection], registry: Registry) -> Groups:
    """Return the parameter groups that a projector and adapters train."""
    known: dict[str, Trains] = {}
    complete = not any(isinstance(one.config, Trained) for one in adapters)
    for _, chosen in selections([projector, adapters]):
        part = registry.find(chosen.kind, chosen.name)
        groups = None if part is None else declared(chosen.kind, part)
        complete = complete and groups is not None
        _add(known, groups, chosen.kind, chosen.name)
    return Groups(known, complete)


def installed_groups(registry: Registry) -> dict[str, Trains]:
    """Return the parameter groups that the installed components declare."""
    known: dict[str, Trains] = {}
    for kind in ("projector", "adapter"):
        for name in registry.names(kind):
            part = registry.find(kind, name)
            _add(known, declared(kind, part) if part else None, kind, name)
    return known


def _add(known: dict[str, Trains], groups: Mapping[str, float] | None, kind: str, component: str) -> None:
    for name, rate in (groups or {}).items():
        before = known.get(name, Trains(rate, kind, ()))
        if component not in before.names:
            known[name] = attrs.evolve(before, names=(*before.names, component))


def with_groups(train: TrainConfig, groups: Groups, registry: Registry, below: Below) -> TrainConfig:
    """Return a table [train] that sets the learning rate of every group, and nothing for any other.

    :param below: whether a value is written in a file below the one that chooses a component.
    """
    changed: dict[str, Any] = {}
    others = installed_groups(registry).keys() - groups.known.keys() if groups.complete else set()
    for key, values in _tables(train):
        kept = {
            name: value
            for name, value in values.items()
            if not (name in others and _left_out(key, name, below))
        }
        changed[key] = groups.rates(kept) if key == "learning_rate" else kept
    return attrs.evolve(train, **changed)


def group_faults(train: object, groups: Groups, registry: Registry, below: Below) -> Iterator[Fault]:
    """Yield the groups that tables of [train] name and no chosen component trains.

    :param train: the table as files and flags give it.
    """
    if not groups.complete or not isinstance(train, dict):
        return
    others = installed_groups(registry)
    for key in by_group():
        for name in train[key] if isinstance(train.get(key), dict) else ():
            if name in groups.known or (name in others and _left_out(key, name, below)):
                continue
            message = f'no chosen component trains a parameter group "{name}"'
            code = "E302" if name in others else "E102"
            yield Fault(code, message, ("train", key, name), "key", _hint(name, groups, others))


def by_group() -> list[str]:
    """Return the keys of [train] whose tables set a value for each parameter group."""
    return [key for key, field in fields_of(TrainConfig).items() if field.by_group]


def _tables(train: TrainConfig) -> Iterator[tuple[str, dict[str, float]]]:
    for key in by_group():
        if isinstance(value := getattr(train, key), dict):
            yield key, value


def _left_out(key: str, name: str, below: Below) -> bool:
    """Return whether a value was written below the choice of the adapter or of the projector."""
    path = ("train", key, name)
    return below(path, "adapter") or below(path, "projector")


def _hint(name: str, groups: Groups, others: Mapping[str, Trains]) -> str:
    if near := closest(name, groups.known):
        return f'did you mean "{near}"?'
    known = ", ".join(f"{group} ({one.component})" for group, one in groups.known.items())
    hint = f"groups of this experiment: {known or 'none'}"
    return f"{hint}; {name} is trained by {others[name].component}" if name in others else hint
