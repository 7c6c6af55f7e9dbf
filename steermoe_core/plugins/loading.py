"""From entry points to plugins: blocked ones are left out, broken ones quarantined, clashes settled."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import attrs

from steermoe_core.plugins.discovery import Entry
from steermoe_core.plugins.examine import examine
from steermoe_core.plugins.offers import kept, offers
from steermoe_core.plugins.plugin import BUILTIN, ENGINE, Plugin

if TYPE_CHECKING:
    from collections.abc import Sequence


def plugins_of(
    entries: Sequence[Entry], blocks: Sequence[str], *, no_plugins: bool, again: bool, known: bool
) -> list[Plugin]:
    """Return the built-in parts and a plugin for each entry point.

    :param blocks: plugin and distribution names that are not examined.
    :param no_plugins: examine none but the built-in parts.
    :param again: examine them even if what they offer is kept from an earlier time.
    :param known: examine none; leave out the plugins whose offer is not kept.
    """
    builtin = examine(_builtin())
    settled = {entry: _settled(entry, entries, blocks, no_plugins=no_plugins) for entry in entries}
    healthy = [entry for entry, plugin in settled.items() if plugin is None]
    examined = kept(healthy) if known else dict(zip(healthy, offers(healthy, again=again), strict=True))
    found = (settled[entry] or examined.get(entry) for entry in entries)
    return _without_clashes([builtin, *(plugin for plugin in found if plugin)])


def _builtin() -> Entry:
    """Return the built-in parts' entry point, which nothing blocks."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version(ENGINE)
    except PackageNotFoundError:
        own = "unknown"
    return Entry(BUILTIN, "steermoe_core.plugins.builtin", ENGINE, own, str(Path(__file__).parent.parent))


def _blocking(entry: Entry, blocks: Sequence[str], *, no_plugins: bool) -> str | None:
    """Return what stops an entry point from being examined."""
    if no_plugins:
        return "--no-plugins"
    match = next((name for name in blocks if entry.answers_to(name)), None)
    return None if match is None else f'blocked by name "{match}"'


def _settled(
    entry: Entry, entries: Sequence[Entry], blocks: Sequence[str], *, no_plugins: bool
) -> Plugin | None:
    """Return the plugin of an entry point that needs no examination; None for all others."""
    stop = _blocking(entry, blocks, no_plugins=no_plugins)
    if stop:
        return attrs.evolve(Plugin.of(entry), status="blocked", reason=stop)
    if entry.name == BUILTIN:
        reason = f'the plugin name "{BUILTIN}" belongs to steermoe'
        return Plugin.of(entry).broken(reason, f"rename the entry point of {entry.distribution}")
    rivals = [
        other
        for other in entries
        if other.name == entry.name and not _blocking(other, blocks, no_plugins=no_plugins)
    ]
    return Plugin.of(entry).broken(*_same_name(entry, rivals)) if len(rivals) > 1 else None


def _same_name(entry: Entry, rivals: list[Entry]) -> tuple[str, str]:
    both = " and ".join(rival.origin for rival in rivals)
    cure = f"`pip uninstall {entry.distribution}` or --block {entry.distribution} to use the other"
    return f'{both} both bring a plugin named "{entry.name}"; neither was imported', cure


def _without_clashes(plugins: list[Plugin]) -> list[Plugin]:
    """Quarantine plugins that offer something under a built-in's name, then those that share a name."""
    builtin, *others = plugins
    own = {(kind, part.name) for kind, part in builtin.offer}
    others = [_clash(plugin, dict.fromkeys(own, builtin)) for plugin in others]
    owners: dict[tuple[str, str], list[Plugin]] = defaultdict(list)
    for plugin in others:
        for kind, part in plugin.offer:
            owners[kind, part.name].append(plugin)
    shared = {key: rivals for key, rivals in owners.items() if len(rivals) > 1}
    return [
        builtin,
        *(
            _clash(
                plugin,
                {key: other for key, rivals in shared.items() for other in rivals if other is not plugin},
            )
            for plugin in others
        ),
    ]


def _clash(plugin: Plugin, taken: dict[tuple[str, str], Plugin]) -> Plugin:
    """Return the plugin, quarantined if one of its names is taken by another."""
    for kind, part in plugin.offer:
        other = taken.get((kind, part.name))
        if other is None:
            continue
        if other.name == BUILTIN:
            reason = f'its {kind} "{part.name}" has the name of a built-in {kind}'
            return plugin.broken(reason, f"rename the {kind} in {plugin.distribution}")
        reason = f'its {kind} "{part.name}" is also offered by "{other.name}" ({other.origin})'
        cure = f"--block {plugin.name} or --block {other.name} to use the other"
        return plugin.broken(reason, f"{cure}: `export STEERMOE_BLOCK={quote(other.name)}`")
    return plugin
