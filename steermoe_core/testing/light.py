"""What it costs to list a plugin, measured in a fresh process: heavy packages, seconds of computing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import cache

import attrs
import pluggy

from steermoe_core import hookspecs
from steermoe_core.discovery import installed
from steermoe_core.loading import HEAVY, Loader
from steermoe_core.plugin import BUILTIN

#: Seconds of computing that listing a plugin may take.
LIMIT = 0.5
_CODE = f"import sys; from {__name__} import probe; probe(sys.argv[1])"


@attrs.frozen
class Cost:
    """What listing a plugin costs.

    :param heavy: heavy packages that it imports.
    :param seconds: of computing (CPU time).
    """

    heavy: tuple[str, ...]
    seconds: float


def cost(plugin: str) -> Cost:
    """Return the cost of a plugin, measured where nothing is imported yet."""
    return _cost(plugin, os.pathsep.join(sys.path))


@cache
def _cost(plugin: str, path: str) -> Cost:
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", _CODE, plugin],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return Cost(tuple(found["heavy"]), found["seconds"])


def probe(name: str) -> None:
    """Import a plugin, ask its hooks, import its settings; print the cost as JSON."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    loader = Loader(manager, [], no_plugins=False)
    entries = [] if name == BUILTIN else [entry for entry in installed() if entry.name == name]
    start = time.process_time()
    plugin = loader.load(entries[0]) if entries else loader.builtin()
    for _, part in plugin.components:
        try:
            part.config_class()
        except Exception as error:  # noqa: BLE001 - another check tells that it cannot be imported
            sys.stderr.write(f"{error}\n")
    seconds = time.process_time() - start
    heavy = [package for package in dict.fromkeys((*HEAVY, "deepspeed")) if package in sys.modules]
    sys.stdout.write(json.dumps({"heavy": heavy, "seconds": seconds}) + "\n")
