"""Loading plugins one by one: blocked ones not at all, broken ones into quarantine, clashes settled."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from shlex import quote
from time import perf_counter
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.discovery import Entry
from steermoe_core.plugin import BUILTIN, ENGINE, Plugin
from steermoe_core.quarantine import Broken, check_offer, imported, offered

if TYPE_CHECKING:
    import pluggy

#: Libraries that a plugin must not import before a run needs them.
HEAVY = ("torch", "transformers", "datasets", "numpy")


class Loader:
    """Turns entry points into plugins; keeps the imported objects for registration.

    :param manager: knows the hooks.
    :param blocks: plugin and distribution names that are not imported.
    :param no_plugins: nothing but the built-in parts is imported.
    """

    def __init__(self, manager: pluggy.PluginManager, blocks: list[str], *, no_plugins: bool) -> None:
        self.objects: dict[str, Any] = {}
        self._manager = manager
        self._blocks = blocks
        self._no_plugins = no_plugins

    def plugins(self, entries: list[Entry]) -> list[Plugin]:
        """Return the built-in parts and a plugin for each entry point, clashes settled."""
        return _without_clashes([self.builtin(), *_one_a_name(entries, self)])

    def builtin(self) -> Plugin:
        """Load the built-in parts, which nothing blocks."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            own = version(ENGINE)
        except PackageNotFoundError:
            own = "unknown"
        home = str(Path(__file__).parent)
        return self.load(Entry(BUILTIN, "steermoe_core.builtin", ENGINE, own, home))

    def blocking(self, entry: Entry) -> str | None:
        """Return what stops an entry point from being imported."""
        if self._no_plugins:
            return "--no-plugins"
        match = next((name for name in self._blocks if entry.answers_to(name)), None)
        return None if match is None else f'blocked by name "{match}"'

    def load(self, entry: Entry) -> Plugin:
        """Import a plugin and ask its hooks, whatever it does."""
        plugin = _plugin(entry)
        before, start = set(sys.modules), perf_counter()
        try:
            self.objects[entry.name] = imported(entry)
            plugin = attrs.evolve(plugin, components=offered(self.objects[entry.name], self._manager))
            check_offer(plugin.components, entry)
        except Broken as verdict:
            plugin = attrs.evolve(plugin.broken(verdict.reason, verdict.hint), trace=_trace(verdict))
        heavy = tuple(name for name in HEAVY if name in sys.modules and name not in before)
        return attrs.evolve(plugin, seconds=perf_counter() - start, heavy=heavy)


def _plugin(entry: Entry, **fields: Any) -> Plugin:
    return Plugin(
        name=entry.name,
        distribution=entry.distribution,
        version=entry.version,
        location=entry.location,
        editable=entry.editable,
        **fields,
    )


def _trace(verdict: Broken) -> str | None:
    if verdict.__cause__ is None:
        return None
    from traceback import format_exception

    return "".join(format_exception(verdict.__cause__))


def _one_a_name(entries: list[Entry], loader: Loader) -> list[Plugin]:
    """Load each entry point unless it is blocked or another one that is not blocked has its name."""
    rivals: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if not loader.blocking(entry):
            rivals[entry.name].append(entry)
    plugins = []
    for entry in entries:
        stop = loader.blocking(entry)
        if stop:
            plugins.append(_plugin(entry, status="blocked", reason=stop))
        elif entry.name == BUILTIN:
            reason = f'the plugin name "{BUILTIN}" belongs to steermoe'
            plugins.append(_plugin(entry).broken(reason, f"rename the entry point of {entry.distribution}"))
        elif len(rivals[entry.name]) > 1:
            plugins.append(_plugin(entry).broken(*_same_name(entry, rivals[entry.name])))
        else:
            plugins.append(loader.load(entry))
    return plugins


def _same_name(entry: Entry, rivals: list[Entry]) -> tuple[str, str]:
    both = " and ".join(rival.origin for rival in rivals)
    cure = f"`pip uninstall {entry.distribution}` or --block {entry.distribution} to use the other"
    return f'{both} both bring a plugin named "{entry.name}"; neither was imported', cure


def _without_clashes(plugins: list[Plugin]) -> list[Plugin]:
    """Quarantine plugins whose components have a built-in's name, then those that share a name."""
    builtin, *others = plugins
    own = {(kind, part.name) for kind, part in builtin.components}
    others = [_clash(plugin, dict.fromkeys(own, builtin)) for plugin in others]
    owners: dict[tuple[str, str], list[Plugin]] = defaultdict(list)
    for plugin in others:
        for kind, part in plugin.components:
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
    """Return the plugin, quarantined if one of its components is taken by another."""
    for kind, part in plugin.components:
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
