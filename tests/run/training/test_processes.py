"""One process of a run reports an error; which one is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.errors import ExitCode
from steermoe_core.run.training import processes
from steermoe_core.run.training.processes import claim_report, explained, peer_lost
from steermoe_core.train.ranks import ReportedElsewhereError

if TYPE_CHECKING:
    from collections.abc import Callable

LOST = RuntimeError("[gloo] connection closed by peer")


class Folder:
    """A run folder whose state is asked for; `then` happens when it is asked for the third time."""

    def __init__(self, state: str, then: Callable[[Folder], None] = lambda _: None) -> None:
        self._state, self.then, self.asked = state, then, 0

    @property
    def state(self) -> str:
        self.asked += 1
        if self.asked == 3:
            self.then(self)
        return self._state


def failed(folder: Folder) -> None:
    """Do what the process does that reports an error."""
    folder._state = "failed"


def ended(folder: Folder) -> None:
    """Do what the launcher does once a process that reported has ended."""
    failed(folder)
    raise KeyboardInterrupt


def stopped(_: Folder) -> None:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.fixture
def of_two(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what makes this process one of two; nobody waits long."""
    monkeypatch.setattr(processes, "PATIENCE", 0.7)
    monkeypatch.setattr(processes, "LINGER", 0.0)

    def become(rank: int) -> None:
        monkeypatch.setattr(processes.ranks, "world", lambda: 2)
        monkeypatch.setattr(processes.ranks, "first", lambda: rank == 0)

    return become


def claim(folder: Any, error: BaseException) -> int | None:
    """Return the exit code of a process that leaves the report to another; None for the one that reports."""
    try:
        claim_report(folder, error)
    except ReportedElsewhereError as elsewhere:
        return int(elsewhere.code or 0)
    return None


def test_a_run_of_one_process_reports_its_error() -> None:
    """At once, whatever status.json says."""
    assert claim(Folder("failed"), ValueError("x")) is None


@pytest.mark.parametrize(
    ("rank", "error", "folder", "code"),
    [
        (0, ValueError("x"), Folder("running"), None),
        (0, LOST, Folder("running"), None),
        (0, LOST, Folder("running", failed), 1),
        (0, LOST, Folder("running", ended), ExitCode.INTERRUPTED),
        (0, LOST, Folder("running", stopped), None),
        (0, KeyboardInterrupt(), Folder("running"), None),
        (0, KeyboardInterrupt(), Folder("failed"), ExitCode.INTERRUPTED),
        (1, ValueError("x"), Folder("running"), None),
        (1, ValueError("x"), Folder("running", failed), 1),
        (1, LOST, Folder("running", failed), 1),
        (1, LOST, Folder("running", ended), ExitCode.INTERRUPTED),
        (1, LOST, Folder("running", stopped), ExitCode.INTERRUPTED),
        (1, KeyboardInterrupt(), Folder("failed"), ExitCode.INTERRUPTED),
        (1, ReportedElsewhereError(1), Folder("running"), 1),
    ],
)
def test_one_of_two_processes_reports(
    of_two: Callable[[int], None], rank: int, error: BaseException, folder: Folder, code: int | None
) -> None:
    """Rank 0, unless another process was lost; a process that is ended while it waits has nothing to say."""
    of_two(rank)
    assert claim(folder, error) == code


def test_a_lost_process_is_named_in_words(of_two: Callable[[int], None]) -> None:
    """The network's message says nothing to a person; any other error stays as it is."""
    assert not peer_lost(LOST)
    of_two(1)
    assert peer_lost(LOST)
    assert "another process of this run ended" in str(explained(LOST))
    other = ValueError("x")
    assert explained(other) is other
