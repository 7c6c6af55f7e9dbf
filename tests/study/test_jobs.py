"""Jobs run one after the other or at once; whatever ends one, the others run, and its folder says why."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from steermoe_core.config.resolve import resolve
from steermoe_core.config.sweep import Cell
from steermoe_core.errors import RunFolderError
from steermoe_core.plugins import load_registry
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.study.jobs import Job, work

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

#: Stands in for Python: notes the folder that it is called for, and does what the file `do` in it says.
STAND_IN = """#!/bin/sh
folder=$(dirname "$4")
stop() { echo '{"state": "interrupted"}' > "$folder/status.json"; exit 130; }
basename "$folder" >> "$CALLS"
case $(cat "$folder/do") in
    finish) echo '{"state": "finished"}' > "$folder/status.json" ;;
    late) echo '{"state": "finished"}' > "$folder/status.json"; echo "steermoe: it is in use" >&2; exit 1 ;;
    fail) echo '{"state": "failed", "error": "clip 7"}' > "$folder/status.json"; exit 1 ;;
    die) kill -9 $$ ;;
    meet) echo '{"state": "finished", "threads": "'$OMP_NUM_THREADS'"}' > "$folder/met"
          until ls "$folder/../$(cat "$folder/other")/met" > /dev/null 2>&1; do sleep 0.01; done
          echo '{"state": "finished"}' > "$folder/status.json" ;;
    wait) trap stop INT; touch "$folder/waits"; while true; do sleep 0.01; done ;;
    refuse) echo "warning: x" >&2; echo "steermoe: no such plugin" >&2; exit 3 ;;
    interrupt) echo '{"state": "interrupted"}' > "$folder/status.json"; exit 130 ;;
esac
"""


class Bench:
    """Jobs whose processes do what they are told.

    :param place: holds their folders.
    """

    def __init__(self, rig: Rig, place: Path) -> None:
        self.calls = place / "calls"
        self.place = place
        self.resolved = resolve(rig.file, [], load_registry())
        self.ticks = 0

    def jobs(self, *told: str) -> list[Job]:
        """Return jobs `a`, `b`, … that do what is told."""
        return [self.job("abcdef"[number], do) for number, do in enumerate(told)]

    def job(self, name: str, do: str) -> Job:
        folder = RunFolder(self.place / name)
        folder.path.mkdir(exist_ok=True)
        (folder.path / "do").write_text(do)
        made = Job.run(name, Cell({"name": name}, self.resolved), self.place, [])
        return attrs.evolve(
            made, folder=folder, words=["run", str(folder.experiment)], experiment=folder.experiment
        )

    def work(self, jobs: list[Job], **how: Any) -> str:
        """Do the jobs; return the names of those that had a process, in order."""
        self.calls.write_text("")
        work(jobs, self.tick, lambda: None, **how)
        return self.calls.read_text().replace("\n", "")

    def tick(self) -> None:
        self.ticks += 1


@pytest.fixture
def bench(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bench whose processes are the stand-in."""
    python = tmp_path / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    (tmp_path / "jobs").mkdir()
    found = Bench(rig, tmp_path / "jobs")  # before Python is replaced: plugins are examined with it
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr("steermoe_core.study.jobs._TICK", 0.01)
    found.calls = tmp_path / "calls"
    return found


def states(jobs: list[Job]) -> list[str]:
    """Return how far the jobs are."""
    return [job.state for job in jobs]


def test_what_is_finished_is_not_done_again(bench: Bench) -> None:
    """In their order, each once; the second time there is nothing to do."""
    jobs = bench.jobs("finish", "finish")
    assert states(jobs) == ["waiting", "waiting"]

    assert bench.work(jobs) == "ab"

    assert states(jobs) == ["finished", "finished"]
    assert bench.ticks > 0
    assert bench.work(jobs) == ""
    text = jobs[0].folder.experiment.read_text()
    assert text == bench.resolved.to_toml()


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("fail", "clip 7"),
        ("die", "its process was ended by signal 9 (SIGKILL)"),
        ("refuse", "no such plugin"),
    ],
)
def test_a_job_that_fails_stops_no_other(bench: Bench, do: str, reason: str) -> None:
    """Its reason is in its folder, and it is begun again only when that is asked for."""
    jobs = bench.jobs("finish", do, "finish")

    assert bench.work(jobs) == "abc"

    assert states(jobs) == ["finished", "failed", "finished"]
    assert [job.status.error for job in jobs] == [None, reason, None]
    assert bench.work(jobs) == ""
    assert bench.work([bench.job("b", "finish")], retry_failed=True) == "b"
    assert jobs[1].state == "finished"
    assert jobs[1].status.error is None


def test_an_interrupted_job_is_gone_on_with(bench: Bench) -> None:
    """By the next command, like one that said it was running when the machine went down."""
    jobs = bench.jobs("interrupt", "finish")
    assert bench.work(jobs) == "ab"
    assert states(jobs) == ["interrupted", "finished"]
    (jobs[0].folder.path / "status.json").write_text('{"state": "running"}')
    assert states(jobs) == ["interrupted", "finished"]

    assert bench.work([bench.job("a", "finish")]) == "a"


def test_a_job_that_another_process_holds_is_left_to_it(bench: Bench) -> None:
    """It comes last, and is done here only if the other leaves it undone."""
    jobs = bench.jobs("finish", "finish")
    with ExitStack() as other:
        other.enter_context(jobs[0].folder.held())
        assert states(jobs) == ["running", "waiting"]

        def other_ends() -> None:
            if jobs[1].state == "finished":
                (jobs[0].folder.path / "status.json").write_text('{"state": "finished"}')
                other.close()

        bench.tick = other_ends
        assert bench.work(jobs) == "b"
    assert states(jobs) == ["finished", "finished"]


def test_a_job_that_another_process_finished_meanwhile_is_finished(bench: Bench) -> None:
    """Of two workers that start it at once, the later one may end when the other has already finished it."""
    (job,) = bench.jobs("late")
    assert bench.work([job]) == "a"
    assert job.state == "finished"


def test_without_waiting_what_others_run_is_left_to_them(bench: Bench) -> None:
    """A worker ends when no job is free."""
    jobs = bench.jobs("finish", "finish")
    with jobs[0].folder.held():
        assert bench.work(jobs, wait=False) == "b"
        assert states(jobs) == ["running", "finished"]


def test_the_check_comes_before_each_job(bench: Bench) -> None:
    """What it raises ends the work; what has been finished stays."""
    jobs, left = bench.jobs("finish", "finish"), [None]

    def check() -> None:
        if not left:
            raise RunFolderError
        left.pop()

    with pytest.raises(RunFolderError):
        work(jobs, bench.tick, check)
    assert states(jobs) == ["finished", "waiting"]


def test_parallel_jobs_run_at_the_same_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that wait for each other both finish, each on half of the cores; a third one follows."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("steermoe_core.study.jobs.cores", lambda: 8)
    jobs = bench.jobs("meet", "meet", "finish")
    for job, other in zip(jobs, "ba", strict=False):
        (job.folder.path / "other").write_text(other)

    assert sorted(bench.work(jobs, parallel=2)) == ["a", "b", "c"]

    assert states(jobs) == ["finished"] * 3
    assert json.loads((jobs[0].folder.path / "met").read_text())["threads"] == "4"


def test_a_failed_job_stops_no_parallel_one(bench: Bench) -> None:
    """Whichever ends first."""
    jobs = bench.jobs("die", "finish", "fail", "finish")

    assert sorted(bench.work(jobs, parallel=3)) == ["a", "b", "c", "d"]

    assert states(jobs) == ["failed", "finished", "failed", "finished"]


def test_a_signal_stops_all_parallel_jobs(bench: Bench) -> None:
    """Each saves; no further one starts."""
    jobs = bench.jobs("wait", "wait", "finish")

    def stop_when_both_wait() -> None:
        if all((job.folder.path / "waits").exists() for job in jobs[:2]) and not stopped:
            stopped.append(os.kill(os.getpid(), signal.SIGINT))

    stopped = list[None]()
    with pytest.raises(KeyboardInterrupt):
        work(jobs, stop_when_both_wait, lambda: None, parallel=2)

    assert states(jobs) == ["interrupted", "interrupted", "waiting"]


def test_a_failed_check_stops_running_jobs(bench: Bench) -> None:
    """They save before the error is raised."""
    jobs = bench.jobs("wait", "finish")
    first = jobs[0].folder

    def check() -> None:
        while first.experiment.exists() and not (first.path / "waits").exists():
            time.sleep(0.01)
        if first.experiment.exists():
            raise RunFolderError

    with pytest.raises(RunFolderError):
        work(jobs, bench.tick, check, parallel=2)

    assert states(jobs) == ["interrupted", "waiting"]


def test_status(bench: Bench) -> None:
    """What a table of progress shows: the last logged step and loss, and all scores."""
    (job,) = bench.jobs("finish")
    lines = [{"step": 3, "loss": 2.5}, {"step": 4, "validation": {}}]
    job.folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    scores = job.folder.evaluations / "dev"
    scores.mkdir(parents=True)
    edits = {"substitutions": 1, "deletions": 0, "insertions": 0, "reference": 2}
    wer = {"value": 0.5, "interval": None, "edits": edits, "examples": 1, "clusters": 1}
    record = {"metrics": {"wer": wer}, "controls": {}, "examples": 1, "left_out": {}, "steering": []}
    (scores / "scores.json").write_text(json.dumps(record))

    assert attrs.asdict(job.status) == {
        "name": "a",
        "settings": {"name": "a"},
        "folder": str(job.folder.path),
        "state": "waiting",
        "step": 3,
        "of": 6,
        "loss": 2.5,
        "scores": {"dev": {"wer": 0.5}},
        "error": None,
    }
