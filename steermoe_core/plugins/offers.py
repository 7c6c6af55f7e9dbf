"""What each plugin offers: read from the cache, or found by a probe and kept.

A plugin is examined again when its distribution, its version, one of its files, the installed packages or
steermoe change. A broken one is also examined again when anything on `sys.path` changes, because what broke
it may lie there.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import SetupError
from steermoe_core.plugins.plugin import Plugin
from steermoe_core.system.cache import cache_folder
from steermoe_core.system.printing import complain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from steermoe_core.plugins.discovery import Entry

#: Seconds after which a probe is reported to be at work.
_PATIENCE = 2.0
#: Files of a plugin that may decide what it offers.
_SUFFIXES = (".py", ".so", ".pyd", ".toml", ".json", ".yaml", ".yml", ".txt", ".cfg")
_SITES = ("site-packages", "dist-packages")


def offers(entries: Sequence[Entry], *, again: bool = False) -> list[Plugin]:
    """Return the plugin of each entry point, active or broken; nothing of it is imported here.

    :param again: examine all of them, whatever is kept.
    """
    found = {} if again else kept(entries)
    missing = [entry for entry in entries if entry not in found]
    if missing:
        by_name = {(entry.name, entry.distribution): entry for entry in missing}
        for plugin in _probed(missing):
            entry = by_name[plugin.name, plugin.distribution]
            found[entry] = plugin
            _Kept(entry).write(plugin)
    return [found[entry] for entry in entries]


def kept(entries: Iterable[Entry]) -> dict[Entry, Plugin]:
    """Return the plugins whose offer is in the cache and has not changed since."""
    return {entry: plugin for entry in entries if (plugin := _Kept(entry).read())}


def _probed(entries: Sequence[Entry]) -> Iterator[Plugin]:
    """Examine plugins; a person at a terminal who has to wait is told for what."""
    from steermoe_core.plugins.probe import limit, probe

    waiting = {entry.origin for entry in entries}

    def say() -> None:
        names = ", ".join(sorted(waiting))
        complain(f"steermoe: examining {names}; each may take {limit():g} s …")

    timer = Timer(_PATIENCE, say)
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        for plugin in probe(entries):
            waiting.discard(plugin.origin)
            if not waiting:
                timer.cancel()
            yield plugin
    finally:
        timer.cancel()


class _Kept:
    """The file in the cache that holds what one entry point offers."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        name = _digest([sys.prefix, entry.distribution, entry.name, entry.location])
        self._file: Path | None = None
        with suppress(SetupError):
            self._file = cache_folder() / "plugins" / f"{name}.json"

    def read(self) -> Plugin | None:
        """Return the plugin if it is kept and nothing has changed since."""
        if self._file is None:
            return None
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            plugin = Plugin.from_json(kept["plugin"])
        except Exception:  # noqa: BLE001 - a cache may hold anything; it is written again
            return None
        if kept["state"] != self._state() or (plugin.status == "broken" and kept["path"] != _path_state()):
            return None
        return plugin

    def write(self, plugin: Plugin) -> None:
        """Keep the plugin; a cache that cannot be written is none."""
        if self._file is None:
            return
        kept = {"state": self._state(), "path": _path_state(), "plugin": plugin.to_json()}
        part = self._file.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(kept), encoding="utf-8")
            part.replace(self._file)

    def _state(self) -> str:
        """Return a digest of all that a healthy plugin's offer depends on."""
        module = self._entry.value.partition(":")[0].strip()
        examining = _files_below([os.path.dirname(__file__)])  # noqa: PTH120
        files = [*code_files(module), *examining, *_contract()]
        sites = [place for place in sys.path if place.endswith(_SITES)]
        return _digest([sys.version, attrs.astuple(self._entry), _stamps(files), _stamps(sites)])


def _path_state() -> str:
    """Return a digest of what lies on `sys.path`, and of the time limit."""
    return _digest([_stamps(sys.path), os.environ.get("STEERMOE_PLUGIN_TIMEOUT")])


def code_files(module: str) -> Iterable[str]:
    """Return the files of the package, or the module, that a module is in."""
    top = module.partition(".")[0]
    try:
        spec = find_spec(top)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None:
        return ()
    return _files_below(spec.submodule_search_locations or [spec.origin or ""])


def _files_below(places: Iterable[str]) -> Iterator[str]:
    for place in places:
        if not os.path.isdir(place):  # noqa: PTH112 - os is five times faster here, and this is every start
            yield place
        for folder, folders, files in os.walk(place):
            folders[:] = [name for name in folders if name != "__pycache__"]
            yield from (f"{folder}/{name}" for name in files if name.endswith(_SUFFIXES))


def _contract() -> Iterator[str]:
    core = Path(__file__).parent.parent
    yield from (f"{core}/{name}" for name in ("__init__.py", "component.py", "hookspecs.py"))


def _stamps(places: Iterable[str]) -> list[Any]:
    """Return name, time and size of each file or folder."""
    stamps: list[Any] = []
    for place in places:
        with suppress(OSError, ValueError):
            status = os.stat(place or ".")  # noqa: PTH116
            stamps.append((place, status.st_mtime_ns, status.st_size))
    return sorted(stamps)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]
