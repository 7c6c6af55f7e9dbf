"""Plugins probed in processes of their own: one that crashes, hangs or exits at import is found here.

`probe` starts one lean Python process, which forks a worker for each plugin. A worker has a session, no
terminal and a time limit of its own; it writes what it found to a file and then ends as Python ends, so that
threads and exit hooks show as well. A worker that crashes, hangs or leaves early is a broken plugin.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import attrs

from steermoe_core.plugins.discovery import Entry
from steermoe_core.plugins.examine import examine
from steermoe_core.plugins.plugin import Plugin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Seconds that a plugin may take, and then again to end; STEERMOE_PLUGIN_TIMEOUT is another number of them.
LIMIT = 10.0
#: On a busy machine a plugin has more time, until it has computed for the limit, if this share of its time is
#: computing; at most so many times the limit.
_BUSY, _LONGEST = 0.1, 6.0
_POLL = 0.01
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import serve; serve()"


def limit() -> float:
    """Return the seconds that a plugin may take."""
    with suppress(ValueError):
        return float(os.environ.get("STEERMOE_PLUGIN_TIMEOUT") or LIMIT)
    return LIMIT


def probe(entries: Sequence[Entry]) -> Iterator[Plugin]:
    """Examine plugins, several at a time.

    :yields: each plugin when it has been examined, in any order.
    """
    request = {"entries": [attrs.asdict(entry) for entry in entries], "limit": limit()}
    server = subprocess.Popen(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", _START.format(__name__), json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    missing = {(entry.name, entry.distribution): entry for entry in entries}
    with server:
        try:
            for line in _answers(server, request):
                plugin = Plugin.from_json(json.loads(line))
                del missing[plugin.name, plugin.distribution]
                yield plugin
        except BaseException:
            server.terminate()
            raise
    for entry in missing.values():
        end = _ending(server.returncode).replace("ended the process", "ended")
        reason = f"it could not be examined: the process that does it {end}"
        yield Plugin.of(entry).broken(reason, "run the command again")


def _answers(server: subprocess.Popen[str], request: object) -> Iterator[str]:
    """Send a request and yield the lines of the answer; none where the process died."""
    if server.stdin and server.stdout:
        with suppress(BrokenPipeError), server.stdin as stdin:
            stdin.write(json.dumps(request))
        yield from server.stdout


def serve() -> None:
    """Read a request from stdin, examine its plugins, and print each as a line of JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the command, which ends this process
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    request = json.load(sys.stdin)
    waiting = [Entry(**fields) for fields in request["entries"]]
    own, place, running = os.getpid(), Path(mkdtemp(prefix="steermoe-")), list[_Worker]()
    try:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                entry = waiting.pop(0)
                running.append(_Worker(entry, place / str(len(waiting)), request["limit"]))
            time.sleep(_POLL)
            for worker in [one for one in running if one.ended()]:
                running.remove(worker)
                sys.stdout.write(f"{json.dumps(worker.verdict().to_json())}\n")
                sys.stdout.flush()
    finally:
        if os.getpid() == own:  # a worker passes here too when it ends
            for worker in running:
                worker.kill()
            rmtree(place, ignore_errors=True)


class _Worker:
    """The process that examines one plugin, seen from the one that started it.

    :param place: folder that the worker writes to: `doing`, `found`.
    :param seconds: its time limit.
    """

    def __init__(self, entry: Entry, place: Path, seconds: float) -> None:
        self._entry, self._place, self._seconds = entry, place, seconds
        place.mkdir()
        self._begun, self._computed = time.monotonic(), 0.0
        self._leaving = False
        self._status: int | None = None
        self._pid = os.fork()
        if not self._pid:
            _work(entry, place)

    def ended(self) -> bool:
        """Tell whether the worker has ended; one whose time is up is killed."""
        found, status = os.waitpid(self._pid, os.WNOHANG)
        if found:
            self._status = os.waitstatus_to_exitcode(status)
        elif not self._late():
            return False
        elif not self._leaving and (self._place / "found").exists():
            self._begun, self._computed, self._leaving = time.monotonic(), self._computing(), True
            return False
        self.kill()  # and what it started
        if not found:
            os.waitpid(self._pid, 0)
        return True

    def _late(self) -> bool:
        """Tell whether the worker's time is up."""
        passed, computed = time.monotonic() - self._begun, self._computing() - self._computed
        if passed < self._seconds:
            return False
        return computed >= self._seconds or computed < _BUSY * passed or passed >= _LONGEST * self._seconds

    def _computing(self) -> float:
        """Return the seconds that the worker has computed; 0 where the system has no /proc."""
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End the worker and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)

    def verdict(self) -> Plugin:
        """Return the plugin as the worker found it, broken if the worker did not end as it should."""
        found, name = self._found(), self._entry.distribution
        hint = f"repair it, or upgrade {name}: `pip install --upgrade {name}`"
        if found and found.status == "broken":
            return found
        if self._status is None:
            reason = f"{'its end' if found else self._doing()} did not finish in {self._seconds:g} s"
            hint += f"; if this machine is slow, `export STEERMOE_PLUGIN_TIMEOUT={6 * self._seconds:.0f}`"
        elif self._status > 0 or not found:  # large libraries may crash when Python ends: no verdict
            reason = f"{'its exit hook' if found else self._doing()} {_ending(self._status)}"
        else:
            return found
        return (found or Plugin.of(self._entry)).broken(reason, hint)

    def _found(self) -> Plugin | None:
        """Return what the worker found; None if it did not get that far."""
        try:
            return Plugin.from_json(json.loads((self._place / "found").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def _doing(self) -> str:
        """Return what the worker did last."""
        with suppress(OSError):
            return (self._place / "doing").read_text(encoding="utf-8")
        return "its import"


def _work(entry: Entry, place: Path) -> None:
    """Examine a plugin in a process just forked, and end as Python ends."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    plugin = examine(entry, lambda what: _write(place / "doing", what))
    _write(place / "found", json.dumps(plugin.to_json()))
    sys.exit(0)


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def _ending(code: int | None) -> str:
    """Say how a process ended."""
    if code is None or code >= 0:
        return f"ended the process with exit code {code}"
    try:
        return f"ended the process with signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"ended the process with signal {-code}"
