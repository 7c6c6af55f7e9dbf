"""What the doctor says of run folders: a run that was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from steermoe_core.doctor.runs import runs
from steermoe_core.run.folder.claim import Owner
from steermoe_core.run.folder.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run folder in `runs` that says that it is running."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/one-12345678")
    folder.mkdir(parents=True)
    state(folder, "running", step=7)
    return folder


def state(run: Path, name: str, **more: object) -> None:
    (run / "status.json").write_text(json.dumps({"state": name, **more}))


def dead() -> int:
    """Return the number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def findings() -> list[tuple[str, str]]:
    return [(finding.code, finding.mend) for finding in runs(Path("runs"))]


def test_no_folder_of_runs(tmp_path: Path) -> None:
    """Where nothing ever ran, nothing is wrong."""
    assert list(runs(tmp_path / "runs")) == []


@pytest.mark.parametrize("claim", [False, True])
def test_a_run_that_was_killed(run: Path, claim: bool) -> None:  # noqa: FBT001
    """It says that it is running, and nobody works there: the command that goes on is named."""
    if claim:
        (run / ".claim").mkdir()
        (run / ".claim" / attrs.evolve(Owner.this(), pid=dead()).name).touch()
    assert not RunFolder(run).in_use

    assert findings() == [
        (
            "run-abandoned",
            "`steermoe run runs/one-12345678/experiment.toml` resumes from its last checkpoint",
        )
    ]


def test_a_run_of_several_processes(run: Path) -> None:
    """It goes on with as many as it began with."""
    (run / "lock.json").write_text('{"processes": 4}')

    ((_, mend),) = findings()
    assert "`steermoe launch --nproc 4 runs/one-12345678/experiment.toml`" in mend


def test_runs_elsewhere(run: Path) -> None:
    """The folder is named where it is not the usual one."""
    Path("runs").rename("my runs")

    (finding,) = runs(Path("my runs"))
    assert "steermoe run 'my runs/one-12345678/experiment.toml' --runs 'my runs'" in finding.mend


def test_a_run_that_goes_on(run: Path) -> None:
    """Its folder is held: nothing is wrong."""
    with RunFolder(run).held():
        assert findings() == []


@pytest.mark.parametrize("name", ["finished", "failed", "interrupted"])
def test_a_run_that_ended(run: Path, name: str) -> None:
    """Nothing is wrong with it."""
    state(run, name)
    assert findings() == []


def test_a_damaged_run(run: Path) -> None:
    """The file is named, and what to do about it."""
    (run / "lock.json").write_text('{"data": null}')
    (finding,) = runs(Path("runs"))
    assert finding.code == "run-damaged"
    assert finding.what.startswith("runs/one-12345678/lock.json is damaged (data is not a table); restore it")

    (run / "status.json").unlink()
    (run / "status.json").mkdir()
    (finding,) = runs(Path("runs"))
    assert finding.what.startswith("runs/one-12345678/status.json is a folder")


def test_a_status_that_cannot_be_read(run: Path) -> None:
    """Half a file, or something else than a status, says nothing."""
    for text in ("{", "[1]", ""):
        (run / "status.json").write_text(text)
        assert findings() == []
