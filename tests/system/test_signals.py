"""The signals that ask a process to stop, handled for the length of a block."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from steermoe_core.system import signals
from steermoe_core.system.signals import STOPS, handled, interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_at_a_terminal() -> Iterator[None]:
    """Take hang-ups, which tests that `nohup` starts ignore."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", STOPS)
def test_a_handler_takes_them_inside_the_block(number: int) -> None:
    """What was there before is there again."""
    before, taken = signal.getsignal(number), []

    with handled(lambda number, _: taken.append(number)):
        os.kill(os.getpid(), number)

    assert taken == [number]
    assert signal.getsignal(number) is before


def test_interrupt_is_ctrl_c() -> None:
    """Whichever signal it was."""
    with pytest.raises(KeyboardInterrupt), handled(interrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_ignored_hangup_stays_ignored() -> None:
    """As `nohup` wants it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled(interrupt):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_changes() -> None:
    """Python takes signals in the main thread alone."""
    found = []

    def work() -> None:
        with handled(interrupt):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert found == [signal.getsignal(signal.SIGTERM)]


def test_in_a_job_of_slurm_an_echo_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler signals a process, and so does its parent; whichever handler took the first one."""
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setattr(signals, "_latest", float("-inf"))
    taken, outer = [], []

    with handled(lambda number, _: outer.append(number)):
        with handled(lambda number, _: taken.append(number)):
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        monkeypatch.setattr(signals, "_latest", time.monotonic() - signals.ECHO)
        os.kill(os.getpid(), signal.SIGHUP)

    assert (taken, outer) == ([signal.SIGUSR1], [signal.SIGHUP])
