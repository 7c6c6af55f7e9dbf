"""Plugins that are broken, slow or blocked."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from steermoe_core.config.check.catalogue import import_hint, settings_class
from steermoe_core.doctor.finding import Finding, requirement
from steermoe_core.plugins.plugin import ENGINE
from steermoe_core.plugins.requirements import unmet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.plugins import Plugin, Registry

#: The folder of the code through which plugins are imported.
_ENGINE = f"{Path(__file__).parent.parent}/"


def plugins(registry: Registry) -> Iterator[Finding]:
    """Yield what is wrong with the installed plugins."""
    for plugin in registry.plugins:
        yield from _one(plugin)
    for name in registry.unknown_blocks:
        yield Finding(
            code="block-unknown",
            what=f"STEERMOE_BLOCK names {name}, which is not installed",
            mend="correct the name, or `unset STEERMOE_BLOCK`",
        )


def _one(plugin: Plugin) -> Iterator[Finding]:
    if plugin.status == "broken":
        yield Finding(
            code="plugin-broken",
            what=f"{_label(plugin)} is broken: {plugin.reason}",
            mend=_mend(plugin.hint, plugin),
            where=_where(plugin),
        )
    elif plugin.status == "blocked":
        yield Finding(
            code="plugin-blocked",
            what=f"{_label(plugin)} is blocked: {plugin.reason}",
            mend="leave --block and --no-plugins out, or `unset STEERMOE_BLOCK`",
        )
    if plugin.slow:
        yield Finding(
            code="plugin-slow",
            what=f"{_label(plugin)} is slow to import: {plugin.slow}",
            mend=_mend("import only in the factory's module what a run needs", plugin),
            where=plugin.location,
        )
    yield from _settings(plugin)
    if plugin.distribution != ENGINE and plugin.status != "blocked":
        yield from _requirements(plugin)


def _settings(plugin: Plugin) -> Iterator[Finding]:
    for kind, component in plugin.components:
        try:
            settings_class(component)
        except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
            what = f'the settings of {kind} "{component.name}" of {_label(plugin)} cannot be loaded'
            yield Finding(
                code="plugin-settings",
                what=f"{what}: {type(error).__name__}: {error}",
                mend=_mend(import_hint(error, component, plugin) or f"repair {component.config}", plugin),
                where=plugin.location,
            )


def _requirements(plugin: Plugin) -> Iterator[Finding]:
    for one in unmet(plugin.distribution):
        if one.extra is None and one.mend not in plugin.hint:
            yield requirement("plugin-requirement", plugin.origin, one)


def _label(plugin: Plugin) -> str:
    return f'"{plugin.name}" ({plugin.origin})'


def _mend(hint: str, plugin: Plugin) -> str:
    """Return a hint with a command: its own, or the one that leaves the plugin out until it is repaired."""
    without = f"`export STEERMOE_BLOCK={quote(plugin.name)}` leaves the plugin out"
    if not hint:
        return without
    return hint if "`" in hint else f"{hint}; until then, {without}"


def _where(plugin: Plugin) -> str | None:
    """Return the last line of the plugin's own code in what it raised, as ``file:line``, or its folder."""
    places: list[tuple[str, str]] = re.findall(r'File "([^"]+)", line (\d+)', plugin.trace or "")
    home = f"{plugin.location}/"
    own = [place for place in places if place[0].startswith(home) and not place[0].startswith(_ENGINE)]
    return ":".join(own[-1]) if own else plugin.location
