"""Every kind of plugin that misbehaves, as distributions on disk; a healthy one offers the encoder `odd`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from tests.host import BROKEN, HEAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Site

PART = (
    HEAD
    + """
@hookimpl
def steermoe_encoders():
    yield Component(
        name="odd", api=1, summary="made up", config="fake_odd_part:Settings", factory="fake_odd_part:build",
    )
"""
)
SETTINGS = "from steermoe_core.testing.config import TinyConfig as Settings\n"
CODE = SETTINGS + "from tests.parts import TinyEncoder as build\n"
LAZY = SETTINGS + "def __getattr__(name):\n    import torchodyo\n"
BUILTIN = """
@hookimpl
def steermoe_adapters():
    yield Component(name="none", api=1, summary="", config="a:B", factory="a:b")
"""
SEQUENCES = r"raise ValueError('\x1b[2J\x07' * 2_000_000)"
STUCK = "    while True: pass\n    yield"
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()\n"
EXIT = "import atexit, os\natexit.register(os._exit, 5)\n"
NAMELESS = """
class Nameless:
    def __dir__(self):
        raise ValueError("no names")
import sys
sys.modules[__name__] = Nameless()
"""
MUTE = """
class Mute(Exception):
    def __str__(self):
        raise self
raise Mute
"""
#: Seconds of computing that the slow plugin's import takes; the tests lower what counts as slow below it.
SLOW = 0.04
BUSY = f"""
import time
start = time.process_time()
while time.process_time() < start + {SLOW}:
    pass
"""
LOUD = f"""
print("printed by a plugin")
{SETTINGS}
def build(config):
    print("printed by a plugin")
    from tests.parts import TinyEncoder
    return TinyEncoder(config)
"""


@attrs.frozen
class Kind:
    """One kind of misbehaving plugin.

    :param name: of the kind.
    :param write: puts its distributions on a site; the plugin is called `odd`.
    :param status: what `list-plugins` says of it.
    :param stops: which commands that need it stop: all, those that build the model, also `check`, or none.
    :param code: of the finding by which `doctor` reports it; None where nothing is wrong with it.
    :param loud: whether it prints, which may reach stderr.
    """

    name: str
    write: Callable[[Site], object]
    status: Literal["active", "broken"] = "broken"
    stops: Literal["all", "building", "checking", "none"] = "all"
    code: str | None = "plugin-broken"
    loud: bool = False


def healthy(site: Site) -> None:
    """Write a plugin with which nothing is wrong."""
    _odd(site)


def _odd(site: Site, source: str = PART, code: str = CODE, requires: str = "") -> None:
    """Write the plugin `odd` and the module of its part.

    :param requires: what the distribution says that it requires.
    """
    site.add("odd", source)
    (site.folder / "fake_odd_part.py").write_text(code, encoding="utf-8")
    if requires:
        with (site.folder / "steermoe_odd-1.0.dist-info" / "METADATA").open("a", encoding="utf-8") as file:
            file.write(f"Requires-Dist: {requires}\n")


def _source(case: str) -> Callable[[Site], object]:
    return lambda site: _odd(site, BROKEN[case][0])


def _twins(site: Site) -> None:
    for number in ("one", "two"):
        site.add("odd", PART, distribution=f"steermoe-odd-{number}", module=f"fake_{number}")


def _rivals(site: Site) -> None:
    _odd(site)
    site.add("even", PART)


def _without_module(site: Site) -> None:
    site.add("odd")


def _unreadable(site: Site) -> None:
    site.info("steermoe-odd", "1.0", "[steermoe]\nno equals sign\n")


KINDS = (
    Kind("import raises", _source("raises")),
    Kind("SyntaxError", _source("syntax")),
    Kind("SystemExit at import", _source("exits")),
    Kind("missing dependency", lambda site: _odd(site, "import torchodyo.fun", requires="torchodyo>=2")),
    Kind("module is gone", _without_module),
    Kind("unreadable metadata", _unreadable),
    Kind("contract too new", _source("too new")),
    Kind("contract too old", _source("too old")),
    Kind("plugin name twice", _twins),
    Kind("component name twice", _rivals),
    Kind("name of a built-in", lambda site: _odd(site, PART + BUILTIN)),
    Kind("misspelt hook", _source("misspelt hook")),
    Kind("undecorated hook", _source("undecorated")),
    Kind("hook raises", _source("hook raises")),
    Kind("hook exits", _source("hook exits")),
    Kind("hook yields the wrong type", _source("yields text")),
    Kind("ends the process at import", lambda site: _odd(site, f"import os\nos._exit(0)\n{PART}")),
    Kind("crashes at import", lambda site: _odd(site, f"import ctypes\nctypes.string_at(0)\n{PART}")),
    Kind("import never ends", lambda site: _odd(site, f"while True: pass\n{PART}")),
    Kind("hook never ends", lambda site: _odd(site, PART.replace("    yield", STUCK))),
    Kind("thread never ends", lambda site: _odd(site, PART + THREAD)),
    Kind("exit hook changes the exit code", lambda site: _odd(site, PART + EXIT)),
    Kind("KeyboardInterrupt at import", lambda site: _odd(site, "raise KeyboardInterrupt")),
    Kind("names cannot be listed", lambda site: _odd(site, PART + NAMELESS)),
    Kind("error without a message", lambda site: _odd(site, MUTE)),
    Kind("object in place of the module", lambda site: _odd(site, "import sys\nsys.modules[__name__] = 3")),
    Kind("10 MB of control sequences", lambda site: _odd(site, SEQUENCES)),
    Kind(
        "closes stdout",
        lambda site: _odd(site, f"import os\nos.close(1)\n{PART}"),
        "active", "none", None,
    ),
    Kind(
        "writes to stdout by descriptor",
        lambda site: _odd(site, f"import os\nos.write(1, b'printed by a plugin')\n{PART}"),
        "active", "none", None,
    ),
    Kind(
        "settings cannot be imported",
        lambda site: _odd(site, code="raise SystemExit(0)"),
        "active", "all", "plugin-settings",
    ),
    Kind(
        "code needs a missing package",
        lambda site: _odd(site, code=LAZY, requires="torchodyo>=2"),
        "active", "checking", "plugin-requirement",
    ),
    Kind(
        "slow import",
        lambda site: _odd(site, BUSY + PART),
        "active", "none", "plugin-slow",
    ),
    Kind(
        "prints to stdout",
        lambda site: _odd(site, f"print('printed by a plugin')\n{PART}", LOUD),
        "active", "none", None, loud=True,
    ),
)  # fmt: skip
