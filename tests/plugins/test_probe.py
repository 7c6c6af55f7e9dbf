"""Whatever a plugin does to its process, it is one broken plugin with a reason, and nothing else is moved."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from steermoe_core.plugins.discovery import Entry
from steermoe_core.plugins.probe import LIMIT, limit, probe
from tests.host import COMPONENT, HEAD

if TYPE_CHECKING:
    from conftest import Site

    from steermoe_core.plugins.plugin import Plugin

PART = HEAD + "@hookimpl\ndef steermoe_encoders():\n  {}\n  yield " + COMPONENT.format(api=1) + "\n"
#: What a plugin does at its end → source.
GOOD = PART.format("pass")
#: Source, reason.
FATAL = {
    "leaves": ("import os; os._exit(0)", "its import ended the process with exit code 0"),
    "leaves with 3": ("import os; os._exit(3)", "its import ended the process with exit code 3"),
    "crashes": (
        "import ctypes; ctypes.string_at(0)",
        "its import ended the process with signal 11 (SIGSEGV)",
    ),
    "kills itself": (
        "import os; os.kill(os.getpid(), 9)",
        "its import ended the process with signal 9 (SIGKILL)",
    ),
    "kills its group": (
        "import os; os.killpg(0, 15)",
        "its import ended the process with signal 15 (SIGTERM)",
    ),
    "interrupts itself": ("import os; os.kill(os.getpid(), 2)", "its import raised KeyboardInterrupt"),
    "never imported": ("while True: pass", "its import did not finish in 1 s"),
    "sleeps and blocks": (
        "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        "its import did not finish in 1 s",
    ),
    "endless hook": (PART.format("while True: pass"), "its hook steermoe_encoders did not finish in 1 s"),
    "crashing hook": (
        PART.format("import ctypes; ctypes.string_at(0)"),
        "its hook steermoe_encoders ended the process with signal 11 (SIGSEGV)",
    ),
    "endless components": (
        HEAD + "@hookimpl\ndef steermoe_encoders():\n  while True: yield " + COMPONENT.format(api=1),
        "its hook steermoe_encoders did not finish in 1 s",
    ),
    "settings that crash": (
        GOOD.replace("a:B", "fake_part:B"),
        'importing the settings of its encoder "odd" ended the process with exit code 9',
    ),
    "thread that never ends": (
        GOOD + "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()",
        "its end did not finish in 1 s",
    ),
    "exit hook": (
        GOOD + "import atexit, os\natexit.register(os._exit, 5)",
        "its exit hook ended the process with exit code 5",
    ),
}


@pytest.fixture
def examined(site: Site, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return what a probe says of one plugin's source, with a short time limit."""
    monkeypatch.setenv("STEERMOE_PLUGIN_TIMEOUT", "1")
    (site.folder / "fake_part.py").write_text("import os; os._exit(9)")

    def look(source: str) -> Plugin:
        (found,) = probe([Entry("odd", site.add("odd", source), "steermoe-odd", "1.0", str(site.folder))])
        return found

    return look


@pytest.mark.parametrize("case", FATAL)
def test_fatal_plugin_is_broken(examined: object, case: str) -> None:
    """It has its reason; the offer that it got to is known as withheld."""
    source, reason = FATAL[case]

    odd = examined(source)

    assert (odd.status, odd.reason) == ("broken", reason)
    assert "steermoe-odd" in odd.hint
    assert not odd.components


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.close(0); os.close(1); os.close(2)",
        "import os; os.write(1, b'{}')",
        "import sys; sys.stdout = sys.stderr = None",
        "import os; os.closerange(0, 64)",
        "import os; os.chdir('/')",
        "import sys; sys.path.clear()",
    ],
)
def test_harmless_mischief(examined: object, source: str) -> None:
    """Descriptors, the folder and the path of the process belong to the plugin alone."""
    assert examined(f"{source}\n{GOOD}").status == "active"


def test_slow_plugin_keeps_no_other_waiting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins are examined side by side and each is reported when it is done."""
    monkeypatch.setenv("STEERMOE_PLUGIN_TIMEOUT", "2")
    slow = Entry("slow", site.add("slow", "while True: pass"), "steermoe-slow", "1.0", None)
    fine = Entry("fine", site.add("fine", GOOD), "steermoe-fine", "1.0", None)

    assert [(one.name, one.status) for one in probe([slow, fine])] == [
        ("fine", "active"),
        ("slow", "broken"),
    ]


def test_processes_of_a_plugin_end_with_it(examined: object, tmp_path: Path) -> None:
    """What a plugin starts and leaves behind is ended."""
    note = tmp_path / "pid"
    source = "import subprocess\np = subprocess.Popen(['sleep', '60'])\n"
    examined(f"{source}open({str(note)!r}, 'w').write(str(p.pid))")
    child = Path("/proc", note.read_text())

    for _ in range(100):
        if not child.exists() or "Z" in (child / "stat").read_text().split()[2]:
            return
        time.sleep(0.02)
    pytest.fail("the process is still there")


def test_probe_that_dies(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the examining process itself is killed, its plugins are broken and nothing is raised."""
    module = site.add("odd", f"import os; os.kill(os.getppid(), 9)\n{GOOD}")

    (odd,) = probe([Entry("odd", module, "steermoe-odd", "1.0", None)])

    assert odd.reason == "it could not be examined: the process that does it ended with signal 9 (SIGKILL)"


def test_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of seconds in the environment replaces the limit; anything else does not."""
    for given, seconds in {"60": 60.0, "": LIMIT, "long": LIMIT}.items():
        monkeypatch.setenv("STEERMOE_PLUGIN_TIMEOUT", given)
        assert limit() == seconds
    assert os.environ
