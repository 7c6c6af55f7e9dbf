"""A claim that one process holds: without file locks, and taken over once its owner is dead."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from steermoe_core.run.folder import claim
from steermoe_core.run.folder.claim import CLAIM, ClaimedError, Owner, claimed, holder

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = attrs.evolve(Owner.this(), host="node07", machine="0" * 12, job="17_2")
ROUNDS = 20


def left(folder: Path, owner: Owner, age: float = 0.0) -> Path:
    """Leave a claim whose owner gave its last sign of life some seconds ago."""
    file = folder / CLAIM / owner.name
    file.parent.mkdir()
    file.touch()
    then = time.time() - age
    os.utime(file, (then, then))
    return file


def no_locks(how: str) -> None:
    """Have file locks fail, or do nothing, as on some file systems of clusters."""

    def flock(*_: object) -> None:
        if how == "fails":
            raise OSError(38, "Function not implemented")

    fcntl.flock = flock
    fcntl.lockf = flock


def contend(how: str, folder: Path, ready: Any) -> None:
    """Claim a folder again and again; note each time how many hold it, and who did."""
    no_locks(how)
    ready.wait()
    done = 0
    while done < ROUNDS:
        with suppress(ClaimedError), claimed(folder):
            inside = folder / "inside"
            inside.mkdir()  # fails where another process is inside
            with (folder / "log").open("a") as log:
                log.write(f"{os.getpid()}\n")
            inside.rmdir()
            done += 1
        time.sleep(0.001)


def test_an_owner_is_the_name_of_a_file() -> None:
    """It is read back; any other name is nobody."""
    assert Owner.read(ELSEWHERE.name) == ELSEWHERE
    assert str(ELSEWHERE) == f"process {os.getpid()} on node07 of job 17_2"
    assert str(Owner.this()) == f"process {os.getpid()}"
    assert [Owner.read(name) for name in ("", "x", "pid=3", "pid=x,start=1,host=a,machine=b,job=")] == [
        None
    ] * 4


@pytest.mark.parametrize("how", ["fails", "does nothing"])
def test_of_several_processes_one_is_inside(tmp_path: Path, how: str) -> None:
    """On a file system without locks too; each comes to its turn."""
    fork = get_context("fork")
    ready = fork.Barrier(3)
    processes = [fork.Process(target=contend, args=(how, tmp_path, ready)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    log = (tmp_path / "log").read_text().split()
    assert {pid: log.count(pid) for pid in log} == {str(one.pid): ROUNDS for one in processes}
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_another_process_is_named(tmp_path: Path) -> None:
    """The second one in a process is refused, too."""
    with claimed(tmp_path):
        assert holder(tmp_path) == f"process {os.getpid()}"
        with pytest.raises(ClaimedError, match=f"process {os.getpid()}"), claimed(tmp_path):
            pass
    assert holder(tmp_path) is None


@pytest.mark.parametrize(
    ("owner", "age"),
    [
        (attrs.evolve(Owner.this(), pid=2**22 + 1), 0.0),
        (attrs.evolve(Owner.this(), start=Owner.this().start - 60), 0.0),
        (ELSEWHERE, claim.SILENCE + 5.0),
    ],
    ids=["has ended", "another has its number", "silent on another machine"],
)
def test_of_a_dead_owner_is_taken_over(tmp_path: Path, owner: Owner, age: float) -> None:
    """On this machine its process is looked up; elsewhere its silence counts."""
    left(tmp_path, owner, age)
    assert holder(tmp_path) is None

    with claimed(tmp_path):
        assert [file.name for file in (tmp_path / CLAIM).iterdir()] == [Owner.this().name]
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_has_ended_but_whose_parent_sleeps_is_dead(tmp_path: Path) -> None:
    """A zombie still has its number."""
    script = (
        "import os, pathlib, sys; from steermoe_core.run.folder.claim import claimed\n"
        "with claimed(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert list((tmp_path / CLAIM).iterdir())
    assert holder(tmp_path) is None
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("name", [ELSEWHERE.name, "somebody"], ids=["readable", "unreadable"])
def test_of_a_living_owner_elsewhere_is_respected(tmp_path: Path, name: str) -> None:
    """It gave a sign of life not long ago."""
    file = left(tmp_path, ELSEWHERE, age=claim.SILENCE - 30.0)
    file.rename(file.with_name(name))

    with pytest.raises(ClaimedError, match=r"on node07 of job 17_2|an unknown process"), claimed(tmp_path):
        pass


def test_of_two_that_take_over_one_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes the claim after this one found its owner dead."""
    dead = left(tmp_path, ELSEWHERE, claim.SILENCE + 5.0)
    quicker = attrs.evolve(ELSEWHERE, pid=4711)
    real = os.utime

    def utime(path: Path, *given: Any) -> None:
        monkeypatch.setattr(os, "utime", real)
        dead.rename(dead.with_name(quicker.name))
        (tmp_path / CLAIM / quicker.name).touch()
        real(path, *given)

    monkeypatch.setattr(os, "utime", utime)
    with pytest.raises(ClaimedError, match="process 4711 on node07"), claimed(tmp_path):
        pass


def test_an_owner_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as the block runs."""
    monkeypatch.setattr(claim, "BEAT", 0.01)
    with claimed(tmp_path):
        (file,) = (tmp_path / CLAIM).iterdir()
        os.utime(file, (0, 0))
        end = time.monotonic() + 10
        while time.time() - file.stat().st_mtime > 60:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_an_owner_that_lost_its_claim_ends(tmp_path: Path) -> None:
    """It must not write to a folder in which another process works."""
    script = (
        "import pathlib, sys, time; from steermoe_core.run.folder import claim; claim.BEAT = 0.01\n"
        "with claim.claimed(pathlib.Path(sys.argv[1])): print(flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.readline()
    (file,) = (tmp_path / CLAIM).iterdir()
    file.rename(file.with_name(ELSEWHERE.name))
    _, err = process.communicate(timeout=30)

    assert process.returncode == 4
    assert err == f"steermoe: {tmp_path} was deleted, or taken over by {ELSEWHERE}\n"
