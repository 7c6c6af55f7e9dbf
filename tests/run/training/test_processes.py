"""Of several processes one tells what went wrong, and none is left waiting for another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import DataError, SteermoeError
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.run.training import processes
from steermoe_core.train.ranks import ReportedElsewhereError

if TYPE_CHECKING:
    from pathlib import Path

GONE = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:8586")
OWN = DataError("clip 7 fell apart")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.0)
    monkeypatch.setattr(processes, "LINGER", 0.0)


def folder(path: Path, state: str) -> RunFolder:
    """Return a run folder in a state."""
    found = RunFolder(path)
    found.set_status(state, step=0)
    return found


def be(monkeypatch: pytest.MonkeyPatch, rank: int, world: int = 2) -> None:
    """Be one of several processes."""
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(world))


@pytest.mark.parametrize(
    ("rank", "state", "error"),
    [
        (0, "running", OWN),
        (0, "running", GONE),
        (0, "failed", OWN),
        (1, "running", OWN),
        (1, "running", GONE),
    ],
)
def test_reports_an_error_that_no_other_process_has_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int, state: str, error: Exception
) -> None:
    """Rank 0 reports its own errors whatever an earlier start left; another rank reports its alone."""
    be(monkeypatch, rank)

    processes.claim_report(folder(tmp_path, state), error)


@pytest.mark.parametrize(
    ("rank", "state", "error"),
    [
        (0, "failed", GONE),
        (1, "failed", OWN),
        (1, "interrupted", KeyboardInterrupt()),
        (1, "running", ReportedElsewhereError(1)),
    ],
)
def test_is_silent_about_an_error_that_another_process_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int, state: str, error: BaseException
) -> None:
    """It waits to be ended, and prints nothing."""
    be(monkeypatch, rank)

    with pytest.raises(ReportedElsewhereError):
        processes.claim_report(folder(tmp_path, state), error)


def test_a_single_process_always_reports(tmp_path: Path) -> None:
    """Whatever the status says, and without a change of the error."""
    processes.claim_report(folder(tmp_path, "failed"), GONE)
    assert processes.explained(GONE) is GONE


def test_a_lost_process_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network error becomes a message about the process; other errors are unchanged."""
    be(monkeypatch, 0)

    found = processes.explained(GONE)

    assert isinstance(found, SteermoeError)
    assert str(found).startswith("another process of this run ended without an error message")
    assert processes.explained(OWN) is OWN
    assert processes.explained(RuntimeError("shapes differ")).args == ("shapes differ",)
