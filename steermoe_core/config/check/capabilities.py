"""Who works with whom: what parts need of parts of other kinds, and whether the chosen ones give it.

Parts say so in their `Component`. What a part does not say is unknown, and refuses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.component import Selection
from steermoe_core.config.check.faults import Fault
from steermoe_core.config.fields import selections
from steermoe_core.config.naming import article

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.component import Component
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry


def lacking(part: Component, kind: str, other: Component) -> tuple[str, ...] | None:
    """Return what a part needs of one of another kind and that does not give; None where nobody knows.

    :param kind: of the other part.
    """
    if part.silent:
        return None
    needed = (part.needs or {}).get(kind, ())
    if needed and other.silent:
        return None
    return tuple(word for word in needed if word not in (other.gives or ()))


def between(one_kind: str, one: Component, other_kind: str, other: Component) -> tuple[str, ...] | None:
    """Return what two parts lack of one another; empty: they go together; None where nobody knows."""
    found = lacking(one, other_kind, other), lacking(other, one_kind, one)
    known = [word for words in found for word in words or ()]
    return tuple(known) if known or None not in found else None


def related(registry: Registry) -> list[tuple[str, str]]:
    """Return the pairs of kinds of which an installed part of the first needs something of the second."""
    return sorted(
        {
            (kind, other)
            for plugin in registry.plugins
            for kind, part in plugin.components
            for other, words in (part.needs or {}).items()
            if words
        }
    )


def givers(registry: Registry, kind: str, words: tuple[str, ...]) -> list[str]:
    """Return the names of the installed parts of a kind that give all of these."""
    parts = {name: registry.find(kind, name) for name in registry.names(kind)}
    return [name for name, part in parts.items() if part and set(words) <= set(part.gives or ())]


def mismatches(settings: Any, registry: Registry) -> Iterator[Fault]:
    """Yield the parts of an experiment that lack something of another one.

    :param settings: an experiment, or its tables by name where some have other faults.
    """
    chosen = list(selections(settings))
    for path, selection in chosen:
        part = registry.find(selection.kind, selection.name)
        for kind in (part.needs or {}) if part else ():
            for other in dict.fromkeys(other.name for _, other in chosen if other.kind == kind):
                found = registry.find(kind, other)
                if part and found and (words := lacking(part, kind, found)):
                    yield _fault(registry, path, selection, Selection(kind, other, None), words)


def _fault(
    registry: Registry, path: KeyPath, selection: Selection, other: Selection, words: tuple[str, ...]
) -> Fault:
    kind, origin = other.kind, registry.plugin_of(other.kind, other.name).origin
    message = (
        f'{selection.kind} "{selection.name}" needs {article(kind)} with {", ".join(words)}, '
        f'which {kind} "{other.name}" ({origin}) does not have'
    )
    names = givers(registry, kind, words)
    hint = f"{kind}s with {', '.join(words)}: {', '.join(names)}" if names else f"no installed {kind} has it"
    if selection.kind in ("metric", "callback"):
        hint += f"; or leave the {selection.kind} out"
    return Fault("E304", message, (*path, "use"), "text", hint)
