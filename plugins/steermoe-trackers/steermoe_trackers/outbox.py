"""Calls to a tracker in a thread of their own: neither an error nor a hang reaches the training."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from queue import SimpleQueue
from textwrap import shorten
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger("steermoe")


class Outbox:
    """Makes calls in order. The first error ends them, with one warning.

    :param name: of the tracker, for the warning.
    :param timeout: seconds that `wait` waits.
    """

    def __init__(self, name: str, timeout: float) -> None:
        self._name = name
        self._timeout = timeout
        self._calls: SimpleQueue[tuple[Callable[[], None], Event] | None] = SimpleQueue()
        self._failed = self._warned = False
        Thread(target=self._work, name=f"tracker-{name}", daemon=True).start()

    def put(self, call: Callable[[], None]) -> Event:
        """Add a call; return what is set when it is made, or was left out after an error."""
        done = Event()
        self._calls.put((call, done))
        return done

    def wait(self, call: Callable[[], None]) -> None:
        """Add a call, and wait until it is made; after the timeout it remains in the queue."""
        with _quiet():
            if not self.put(call).wait(self._timeout):
                self._warn(f"no answer for {self._timeout:g} s; the run continues, and does not wait for it")

    def finish(self, call: Callable[[], None]) -> None:
        """Add the last call, and wait as `wait` does; the thread ends after it."""
        self.wait(call)
        self._calls.put(None)

    def _work(self) -> None:
        while item := self._calls.get():
            call, done = item
            if not self._failed:
                try:
                    call()
                except BaseException as error:  # noqa: BLE001 - clients also raise SystemExit
                    self._failed = True
                    self._warn(f"{_sentence(error)}; the run continues without it")
            done.set()

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning("tracker %s: %s", self._name, what)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep stdout for the command, and drop warnings of a client's own libraries while the run waits."""
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


def _sentence(error: BaseException) -> str:
    """Return the beginning of an error's message, without a full stop."""
    lines = str(error).strip().splitlines()
    return shorten(lines[0].rstrip("."), 200, placeholder=" …") if lines else type(error).__name__
