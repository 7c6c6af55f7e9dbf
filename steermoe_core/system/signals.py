"""The signals that ask a process to stop: Ctrl-C, SIGHUP of a terminal, SIGTERM or SIGUSR1 of a scheduler."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from steermoe_core.system.slurm import job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object] | signal.Handlers

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
#: Seconds within which signals in a job of a scheduler are one: it signals a process and the parent, which
#: passes the signal on.
ECHO = 2.0

_latest = float("-inf")


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Let a handler take the signals that stop a process, for the length of the block.

    A SIGHUP that is ignored stays ignored, as `nohup` wants it. In a job of Slurm, signals within `ECHO`
    seconds are one. Outside of the main thread, where Python
    takes no signals, nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in STOPS if main}
    taken = {n: old for n, old in before.items() if (n, old) != (signal.SIGHUP, signal.SIG_IGN)}
    for number in taken:
        signal.signal(number, _once(handler) if job() and callable(handler) else handler)
    try:
        yield
    finally:
        for number, old in taken.items():
            signal.signal(number, old)


def _once(handler: Callable[[int, FrameType | None], object]) -> Handler:
    """Return a handler without the echo of a signal, whichever handler took the first one."""

    def handle(number: int, frame: FrameType | None) -> None:
        global _latest  # noqa: PLW0603 - the signals of a process are one sequence
        echo = time.monotonic() - _latest < ECHO
        if not echo:
            _latest = time.monotonic()
            handler(number, frame)

    return handle


def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    """Do what Ctrl-C does in Python.

    :raises KeyboardInterrupt: always.
    """
    raise KeyboardInterrupt
