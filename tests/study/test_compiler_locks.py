"""A launch does not wait for a compiler that is dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from steermoe_core.study.compiler_locks import clear_locks

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("psutil", reason="comes with DeepSpeed")


@pytest.fixture(params=["XDG_CACHE_HOME", "TORCH_EXTENSIONS_DIR"])
def lock(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a lock of ten minutes ago, in each of the places where torch may keep it."""
    monkeypatch.setenv(request.param, str(tmp_path))
    inner = "torch_extensions/py312_cpu" if request.param == "XDG_CACHE_HOME" else "."
    path = tmp_path / inner / "some_operator" / "lock"
    path.parent.mkdir(parents=True)
    path.touch()
    os.utime(path, (time.time() - 600,) * 2)
    return path


def test_a_lock_without_a_compiler_is_removed(lock: Path) -> None:
    """And the user is told of it."""
    notes: list[str] = []
    clear_locks(notes.append)
    assert not lock.exists()
    assert len(notes) == 1
    assert str(lock) in notes[0]


def test_a_lock_whose_compiler_lives_stays(lock: Path) -> None:
    """A process works in its folder."""
    compiler = subprocess.Popen([sys.executable, "-c", "input()"], cwd=lock.parent, stdin=subprocess.PIPE)
    try:
        clear_locks(pytest.fail)
    finally:
        compiler.communicate(b"\n")
    assert lock.exists()


def test_a_young_lock_is_given_time(lock: Path) -> None:
    """Its process may be about to start the compiler."""
    os.utime(lock)
    notes: list[str] = []
    began = time.monotonic()
    clear_locks(notes.append, grace=0.6)
    assert time.monotonic() - began >= 0.4
    assert not lock.exists()
    assert [note.split()[0] for note in notes] == ["waiting", "removed"]


def test_without_locks_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on a machine that never compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    clear_locks(pytest.fail)
