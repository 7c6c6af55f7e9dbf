"""`steermoe sweep`: cells are ordinary runs; no kill and no failure costs more than the cell that it hits."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.rig import status, until
from tests.run.copies import copied

if TYPE_CHECKING:
    from tests.rig import Rig

AXES = 'experiment.seed = [17, 18]\n"adapter.experts" = [4, 5]\n'


@pytest.fixture
def sweep(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Return the rig with what lets other processes find its plugin."""
    monkeypatch.setenv("PYTHONPATH", rig.paths)
    monkeypatch.setattr("steermoe_core.study.jobs._TICK", 0.05)
    return rig


def axes(rig: Rig, text: str) -> None:
    """Put a table [sweep] into the experiment file."""
    rig.file.write_text(f"{rig.file.read_text()}\n[sweep]\n{text}", encoding="utf-8")


def flags(rig: Rig, *words: str) -> list[str]:
    """Return the words of the command."""
    return ["sweep", *rig.words(), *words]


def test_killed_at_any_time_the_same_command_goes_on(
    sweep: Rig, scored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After kill -9 what ran is resumed; a cell that fails stops no other; folders are those of `run`."""
    axes(sweep, '"train.learning_rate.steering" = [10.0, 2e-2, 1e-3]\n')
    rates = (f"train.learning_rate.steering={rate}" for rate in ("10.0", "2e-2", "1e-3"))
    broken, first, second = map(sweep.path, rates)
    process = sweep.start(*flags(sweep, "--set", "train.learning_rate.steering=2e-2"), RIG="wait@3")
    until(lambda: (sweep.folder / "waiting").exists() or process.poll() is not None, seconds=150.0)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (sweep.folder / "go").touch()
    until(lambda: status(first)["state"] == "interrupted")  # its step was ended and saved
    assert status(first)["step"] in (2, 3)  # 2: told twice, it ends without its step
    assert not second.exists()
    copied(scored, second.name, train__learning_rate__steering=1e-3)  # as if it had been run before
    changed = (second / "status.json").stat().st_mtime_ns

    assert main(flags(sweep, "--json")) == 1

    out, err = capsys.readouterr()
    assert "1 of 3, train.learning_rate.steering = 10.0: running" in err
    assert "train.learning_rate.steering = 10.0: failed: the " in err
    assert "--retry-failed resumes them" in err
    found = json.loads(out)
    assert [(run["state"], Path(run["folder"])) for run in found["runs"]] == [
        ("failed", broken),
        ("finished", first),
        ("finished", second),
    ]
    assert found["runs"][1]["step"] == 6
    assert (second / "status.json").stat().st_mtime_ns == changed


def test_a_failed_cell_is_left_alone(sweep: Rig, scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its reason is told each time, what is finished is in the table, and the exit code is 1."""
    axes(sweep, '"adapter.experts" = [4, 5]\n')
    copied(scored, sweep.path("adapter.experts=4").name, adapter__experts=4)
    failed = copied(scored, sweep.path("adapter.experts=5").name, adapter__experts=5)
    (failed / "status.json").write_text('{"state": "failed", "error": "clip 7 fell apart"}')
    capsys.readouterr()

    assert main(flags(sweep, "--markdown")) == 1

    out, err = capsys.readouterr()
    assert "adapter.experts = 5: failed: clip 7 fell apart\n" in err
    header, _, dev, other = out.splitlines()
    assert header == "| adapter.experts | split | seeds | trained | WER |"
    assert dev.startswith("| 4 | dev | 17 | 644 | ")
    assert other.startswith("| 4 | other | 17 | 644 | ")


def test_the_table_needs_only_the_folders(
    sweep: Rig, scored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of all that is finished, seeds merged; nothing is run."""
    axes(sweep, AXES)
    for seed, experts in ((17, 4), (18, 4), (17, 5)):
        cell = {"experiment__seed": seed, "adapter__experts": experts}
        run = sweep.path(f"experiment.seed={seed}", f"adapter.experts={experts}")
        copied(scored, run.name, **cell)
    capsys.readouterr()

    assert main(flags(sweep, "--table", "--split", "dev", "--latex")) == 0

    out, err = capsys.readouterr()
    assert "experiment.seed = 18, adapter.experts = 5: waiting" in err
    assert [line.partition(" & 644")[0] for line in out.splitlines()[3:7]] == [
        r"adapter.experts & split & seeds & trained & WER \\",
        r"\midrule",
        "4 & dev & 17, 18",
        "5 & dev & 17",
    ]


def test_dry_run(sweep: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Every cell with its folder, and nothing on the disk."""
    axes(sweep, AXES)

    assert main(flags(sweep, "--dry-run", "--set", "adapter.experts=4", "--json")) == 0

    found = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["name"], run["state"]) for run in found] == [
        ("experiment.seed = 17", "waiting"),
        ("experiment.seed = 18", "waiting"),
    ]
    assert found[0]["folder"] == str(sweep.path("experiment.seed=17", "adapter.experts=4"))
    assert not sweep.runs.exists()


def test_other_commands_say_what_the_file_is(sweep: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """`run` names the command and the flags that pick one cell; `check` counts the cells."""
    axes(sweep, AXES)

    assert main(["run", *sweep.words()]) == 2
    err = capsys.readouterr().err
    assert "error[E007] the file is a sweep over experiment.seed and adapter.experts" in err
    assert (
        "steermoe sweep tiny.toml runs every experiment; --set experiment.seed=17 --set adapter.experts=4 sel"
        in err
    )

    assert main(["check", str(sweep.file)]) == 0
    assert capsys.readouterr().out == f"{sweep.file}: ok, a sweep of 4 experiments\n"
    assert main(["check", str(sweep.file), "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert cells[1]["settings"] == {"experiment.seed": 17, "adapter.experts": 5}
    assert cells[1]["folder"] == sweep.path("experiment.seed=17", "adapter.experts=5").name
    assert main(["check", str(sweep.file), "--set", "experiment.seed=1", "--set", "adapter.experts=4"]) == 0
    assert "run folder tiny-" in capsys.readouterr().out


def test_every_mistake_is_told_before_the_first_cell_starts(
    sweep: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is run."""
    axes(sweep, '"adapter.experts" = [2, 0]\n"train.stepz" = [1]\n')

    assert main(flags(sweep)) == 2

    err = capsys.readouterr().err
    assert "experts must be > 0, is 0" in err
    assert 'did you mean "steps"?' in err
    assert not sweep.runs.exists()


def test_a_plugin_that_is_missing_is_told_at_once(sweep: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """As for one run: exit code 3."""
    axes(sweep, "experiment.seed = [17, 18]\n")
    assert main([*flags(sweep), "--block", "rig"]) == 3
    assert 'no encoder named "tiny"' in capsys.readouterr().err


def test_without_metrics(rig: Rig, scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sweep may have no score: its table has the cells."""
    axes(rig, '"train.learning_rate.steering" = [1e-3]\nmetrics = [[]]\n')
    cell = rig.path("train.learning_rate.steering=1e-3", "metrics=[]")
    copied(scored, cell.name, train__learning_rate__steering=1e-3, metrics=[])
    capsys.readouterr()

    assert main(flags(rig, "--table", "--markdown")) == 0
    assert "| 0.001 | [] | dev | 17 | 644 |" in capsys.readouterr().out
