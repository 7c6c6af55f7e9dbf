"""Which components work together: what each needs of the others, and whether the chosen ones give it.

Components declare this in their `Component` record. What is not declared is unknown and refuses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.component import PACKING, TOWER, tower_of
from steermoe_core.config.check.faults import Fault
from steermoe_core.config.fields import selections
from steermoe_core.config.naming import LISTS, article

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.component import Component, Selection
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry


def lacking(part: Component, kind: str, other: Component) -> tuple[str, ...] | None:
    """Return the capabilities that a component needs of another and does not get; None if that is unknown.

    :param kind: of the other component; an adapter's tower is the encoder here.
    """
    if part.undeclared:
        return None
    return _lacking(needs_of(part).get(kind, ()), other)


def needs_of(part: Component, settings: object = None) -> dict[str, tuple[str, ...]]:
    """Return what a component needs of other kinds; its tower is the one that its settings name."""
    needs: dict[str, tuple[str, ...]] = {}
    for kind, names in (part.needs or {}).items():
        named = tower_of(settings) if kind == TOWER else kind
        needs[named] = (*needs.get(named, ()), *names)
    return needs


def _lacking(needed: tuple[str, ...], other: Component) -> tuple[str, ...] | None:
    if needed and other.undeclared:
        return None
    return tuple(name for name in needed if name not in (other.gives or ()))


def lacking_mutually(
    one_kind: str, one: Component, other_kind: str, other: Component
) -> tuple[str, ...] | None:
    """Return what either of two components needs of the other and does not get; None if that is unknown."""
    found = lacking(one, other_kind, other), lacking(other, one_kind, one)
    known = [name for names in found for name in names or ()]
    return tuple(known) if known or None not in found else None


def dependent_kinds(registry: Registry) -> list[tuple[str, str]]:
    """Return the pairs of kinds of which an installed component of the first needs one of the second."""
    return sorted(
        {
            (kind, other)
            for plugin in registry.plugins
            for kind, part in plugin.components
            for other, needed in needs_of(part).items()
            if needed
        }
    )


def providers(registry: Registry, kind: str, capabilities: tuple[str, ...]) -> list[str]:
    """Return the names of the installed components of a kind that give all of some capabilities."""
    parts = {name: registry.find(kind, name) for name in registry.names(kind)}
    return [name for name, part in parts.items() if part and set(capabilities) <= set(part.gives or ())]


def mismatches(settings: Any, registry: Registry) -> Iterator[Fault]:
    """Yield the components of an experiment that need what another one does not give.

    :param settings: an experiment, or its tables without those that have other faults.
    """
    chosen = list(selections(settings))
    yield from _unpackable(settings, chosen, registry)
    for path, selection in chosen:
        part = registry.find(selection.kind, selection.name)
        needs = needs_of(part, selection.config) if part else {}
        for kind, needed in needs.items():
            names = dict.fromkeys(other.name for _, other in chosen if other.kind == kind)
            parts = {name: other for name in names if (other := registry.find(kind, name))}
            missing = {name: _lacking(needed, other) for name, other in parts.items()}
            if kind == "adapter" and not all(missing.values()):
                continue  # one of several adapters is enough
            for name, lacks in missing.items():
                if lacks:
                    yield _fault(registry, path, selection, (kind, name), lacks)


def _unpackable(
    settings: Any, chosen: Sequence[tuple[KeyPath, Selection]], registry: Registry
) -> Iterator[Fault]:
    """Yield the parts in `train.packing` that cannot pack clips, or not under their settings."""
    train = settings.get("train") if isinstance(settings, dict) else settings.train
    towers = {selection.kind: selection for path, selection in chosen if len(path) == 1}
    for number, kind in enumerate(train.packing if train else ()):
        tower = towers.get(kind)
        part = registry.find(kind, tower.name) if tower else None
        if tower is None or part is None:
            continue
        reason = getattr(tower.config, "unpackable", "")
        if PACKING not in (part.gives or ()):
            names = providers(registry, kind, (PACKING,))
            reason = f"{kind}s that can: {', '.join(names)}" if names else f"no installed {kind} can"
        if reason:
            message = f'{kind} "{tower.name}" cannot pack clips'
            yield Fault("E302", message, ("train", "packing", number), hint=reason)


def _fault(
    registry: Registry, path: KeyPath, selection: Selection, other: tuple[str, str], missing: tuple[str, ...]
) -> Fault:
    (kind, name), capabilities = other, ", ".join(missing)
    message = (
        f'{selection.kind} "{selection.name}" needs {article(kind)} with {capabilities}, '
        f'which {kind} "{name}" ({registry.plugin_of(kind, name).origin}) does not have'
    )
    names = providers(registry, kind, missing)
    hint = f"{kind}s with {capabilities}: {', '.join(names)}" if names else f"no installed {kind} has it"
    if selection.kind in LISTS:
        hint += f"; or leave the {selection.kind} out"
    return Fault("E304", message, (*path, "use"), "text", hint)
