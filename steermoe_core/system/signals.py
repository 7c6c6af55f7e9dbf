"""The signals that ask a process to stop: Ctrl-C, a scheduler's SIGTERM, a closed terminal's SIGHUP."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object] | signal.Handlers

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Let a handler take the signals that stop a process, for the length of the block.

    A SIGHUP that is ignored stays ignored, as `nohup` wants it. Outside of the main thread, where Python
    takes no signals, nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in STOPS if main}
    taken = {n: old for n, old in before.items() if (n, old) != (signal.SIGHUP, signal.SIG_IGN)}
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in taken.items():
            signal.signal(number, old)


def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    """Do what Ctrl-C does in Python.

    :raises KeyboardInterrupt: always.
    """
    raise KeyboardInterrupt
