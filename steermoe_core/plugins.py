"""The registry: what is installed, what of it is healthy, and the component behind each name.

Plugins are loaded one by one, and a plugin that cannot be used is quarantined with its reason instead
of stopping the program. A quarantined plugin offers none of its components. Names that clash:

* two distributions with the same plugin name: neither is imported, both are broken;
* a component that has a built-in's kind and name: the built-in stays, the plugin is broken;
* two plugins with a component of the same kind and name: both are broken, because which of them an
  experiment means would depend on what else is installed. `--block NAME` of either cures the other.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import attrs
import pluggy

from steermoe_core import hookspecs
from steermoe_core.component import Component
from steermoe_core.discovery import Entry, installed
from steermoe_core.errors import PluginError, UsageError
from steermoe_core.quarantine import Broken, Offer, described, imported, offered
from steermoe_core.suggest import closest, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

BUILTIN = "builtin"
_OWN = "steermoe"
#: Libraries that a plugin must not import before a run needs them.
HEAVY = ("torch", "transformers", "datasets", "numpy")


@attrs.frozen(kw_only=True)
class Plugin:
    """One installed plugin and how it fares.

    :param name: entry-point name; the name that `--block` takes.
    :param distribution: name of the distribution that brings it.
    :param version: version of that distribution.
    :param status: `active`, `blocked` (by the user, never imported) or `broken` (quarantined).
    :param reason: why it is not active.
    :param hint: what to do about that.
    :param components: (kind, component) pairs it registers; none unless it is active.
    :param withheld: (kind, component) pairs that a broken plugin would have registered, if known.
    :param location: folder it is installed in, or the source folder of an editable install.
    :param seconds: time that its import and its hooks took.
    :param heavy: libraries of `HEAVY` that it was the first to import.
    :param trace: traceback of what it raised.
    """

    name: str
    distribution: str
    version: str
    status: Literal["active", "blocked", "broken"] = "active"
    reason: str | None = None
    hint: str = ""
    components: Offer = ()
    withheld: Offer = ()
    location: str | None = None
    seconds: float = 0.0
    heavy: tuple[str, ...] = ()
    trace: str | None = attrs.field(default=None, repr=False)

    @property
    def origin(self) -> str:
        """Distribution and version, as shown to people."""
        return f"{self.distribution} {self.version}"

    def broken(self, reason: str, hint: str) -> Plugin:
        """Return this plugin quarantined."""
        withheld = self.components or self.withheld
        return attrs.evolve(
            self, status="broken", reason=reason, hint=hint, components=(), withheld=withheld
        )


class Registry:
    """Every plugin with its status, and every component of the active ones.

    :param plugins: built-in first, then by name.
    :param unknown_blocks: names in STEERMOE_BLOCK that no installed plugin has.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin],
        manager: pluggy.PluginManager,
        unknown_blocks: tuple[str, ...] = (),
    ) -> None:
        self.plugins = tuple(plugins)
        self.unknown_blocks = unknown_blocks
        self._manager = manager
        self._owners = {
            (kind, part.name): (plugin, part) for plugin in self.plugins for kind, part in plugin.components
        }

    def find(self, kind: str, name: str) -> Component | None:
        """Return the component, or None if no active plugin has it."""
        return self._owners[kind, name][1] if (kind, name) in self._owners else None

    def get(self, kind: str, name: str) -> Component:
        """Return the component.

        :raises PluginError: no active plugin has it; says what is near, what is known and what is broken.
        """
        component = self.find(kind, name)
        if component is None:
            raise PluginError(self.explain(kind, name))
        return component

    def names(self, kind: str) -> list[str]:
        """Return the names of all components of a kind, sorted."""
        return sorted(name for owned, name in self._owners if owned == kind)

    def plugin_of(self, kind: str, name: str) -> Plugin:
        """Return the plugin that offers a component.

        :raises PluginError: no active plugin has it.
        """
        self.get(kind, name)
        return self._owners[kind, name][0]

    def suggest(self, kind: str, name: str) -> str | None:
        """Return the name that was probably meant, if one is near."""
        return closest(name, self.names(kind))

    def absent(self, kind: str, name: str) -> list[Plugin]:
        """Return the broken and blocked plugins that may have the component, the likeliest first.

        If one is known to have it, only the known ones are returned.
        """
        idle = [plugin for plugin in self.plugins if plugin.status != "active"]
        sure = [plugin for plugin in idle if (kind, name) in {(k, part.name) for k, part in plugin.withheld}]
        return sure or sorted((plugin for plugin in idle if not plugin.withheld), key=lambda p: name not in p.name)

    def explain(self, kind: str, name: str) -> str:
        """Say why there is no such component: near names, known names, plugins that are not active."""
        suggestion = self.suggest(kind, name)
        near = f'; did you mean "{suggestion}" ({self.plugin_of(kind, suggestion).origin})?' if suggestion else ""
        known = ", ".join(self.names(kind)) or "none"
        notes = [
            f'\n  note: "{plugin.name}" ({plugin.origin}) is {plugin.status}: {plugin.reason}'
            for plugin in self.absent(kind, name)
        ]
        return f'no {kind} is named "{name}"{near} (known: {known}){"".join(notes)}'

    def fire(self, hook: str, **arguments: Any) -> None:
        """Call a life-cycle hook of every active plugin.

        All plugins are heard even if one fails, so that each can clean up.

        :raises PluginError: a hook raised; names the plugin.
        """
        failures: list[tuple[str, BaseException]] = []
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            chosen = [arguments[name] for name in implementation.argnames]
            try:
                implementation.function(*chosen)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001: a plugin may raise anything, SystemExit too
                failures.append((implementation.plugin_name, error))
        if failures:
            lines = [f'plugin "{name}" failed in {hook}: {described(error)}' for name, error in failures]
            raise PluginError("\n".join(lines)) from failures[0][1]


def load_registry(block: Collection[str] = (), *, no_plugins: bool = False) -> Registry:
    """Find, import and check every installed plugin.

    :param block: plugin or distribution names that are not imported; STEERMOE_BLOCK adds to them.
    :param no_plugins: import nothing but the built-in parts.
    :raises UsageError: a name in `block` belongs to no installed plugin.
    """
    entries = installed()
    from_environment = [name.strip() for name in os.environ.get("STEERMOE_BLOCK", "").split(",") if name.strip()]
    _check_blocks(block, entries)
    blocks = [*block, *from_environment]
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    loader = _Loader(manager, blocks, no_plugins)
    plugins = [loader.builtin(), *_one_a_name(entries, loader)]
    plugins = _without_clashes(plugins)
    for plugin in plugins:
        if plugin.status == "active":
            manager.register(loader.objects[plugin.name], plugin.name)
    unknown = tuple(name for name in from_environment if not any(entry.answers_to(name) for entry in entries))
    return Registry(plugins, manager, unknown)


def _check_blocks(block: Collection[str], entries: list[Entry]) -> None:
    """A misspelt name would leave running what the user meant to stop."""
    for name in block:
        if name in (BUILTIN, _OWN):
            msg = "the built-in parts cannot be blocked"
            raise UsageError(msg)
        if not any(entry.answers_to(name) for entry in entries):
            known = {known for entry in entries for known in (entry.name, entry.distribution)}
            msg = f'--block {name}: no installed plugin has that name{did_you_mean(name, known)}'
            raise UsageError(msg)


class _Loader:
    """Turns entry points into plugins; keeps the imported objects for registration."""

    def __init__(self, manager: pluggy.PluginManager, blocks: list[str], no_plugins: bool) -> None:  # noqa: FBT001: private
        self.objects: dict[str, Any] = {}
        self._manager = manager
        self._blocks = blocks
        self._no_plugins = no_plugins

    def builtin(self) -> Plugin:
        from importlib.metadata import PackageNotFoundError, version

        try:
            own = version(_OWN)
        except PackageNotFoundError:
            own = "unknown"
        home = os.path.dirname(__file__)
        return self.load(Entry(BUILTIN, "steermoe_core.builtin", _OWN, own, home))

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
            plugin = attrs.evolve(plugin, components=offered(self.objects[entry.name], entry, self._manager))
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
        **fields,
    )


def _trace(verdict: Broken) -> str | None:
    if verdict.__cause__ is None:
        return None
    from traceback import format_exception

    return "".join(format_exception(verdict.__cause__))


def _one_a_name(entries: list[Entry], loader: _Loader) -> list[Plugin]:
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
    cure = f"uninstall one of them, or --block {entry.distribution} to use the other"
    return f'{both} both bring a plugin named "{entry.name}"; neither was imported', cure


def _without_clashes(plugins: list[Plugin]) -> list[Plugin]:
    """Quarantine plugins whose components have a built-in's name, then those that share a name."""
    builtin, *others = plugins
    own = {(kind, part.name) for kind, part in builtin.components}
    others = [_clash(plugin, {key: builtin for key in own}) for plugin in others]
    owners: dict[tuple[str, str], list[Plugin]] = defaultdict(list)
    for plugin in others:
        for kind, part in plugin.components:
            owners[kind, part.name].append(plugin)
    shared = {key: rivals for key, rivals in owners.items() if len(rivals) > 1}
    return [
        builtin,
        *(
            _clash(plugin, {key: other for key, rivals in shared.items() for other in rivals if other is not plugin})
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
        reason = f'"{other.name}" ({other.origin}) offers a {kind} "{part.name}" too'
        return plugin.broken(reason, f"--block {plugin.name} or --block {other.name} to use the other")
    return plugin
