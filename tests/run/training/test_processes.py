"""Of several processes one tells what went wrong, and none is left waiting for another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import DataError, SteermoeError
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.run.training import processes
from steermoe_core.train.ranks import ToldElsewhereError

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
def test_tells_what_nobody_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int, state: str, error: Exception
) -> None:
    """Rank 0 tells its own errors whatever an earlier start left; another rank tells what it alone has."""
    be(monkeypatch, rank)

    assert processes.is_reporter(folder(tmp_path, state), error)


@pytest.mark.parametrize(
    ("rank", "state", "error"),
    [
        (0, "failed", GONE),
        (1, "failed", OWN),
        (1, "interrupted", KeyboardInterrupt()),
        (1, "running", ToldElsewhereError(1)),
    ],
)
def test_is_silent_about_what_another_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int, state: str, error: BaseException
) -> None:
    """It ends without a word."""
    be(monkeypatch, rank)

    with pytest.raises(ToldElsewhereError):
        processes.is_reporter(folder(tmp_path, state), error)


def test_a_process_by_itself_always_tells(tmp_path: Path) -> None:
    """There is nobody else."""
    assert processes.is_reporter(folder(tmp_path, "failed"), GONE)
    assert processes.explained(GONE) is GONE


def test_what_the_network_says_becomes_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to know what gloo is; other errors stay what they are."""
    be(monkeypatch, 0)

    found = processes.explained(GONE)

    assert isinstance(found, SteermoeError)
    assert str(found).startswith("another process of this run ended without an error")
    assert processes.explained(OWN) is OWN
    assert processes.explained(RuntimeError("shapes differ")).args == ("shapes differ",)
