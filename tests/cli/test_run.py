"""`steermoe run`: the table, the same as JSON, several files at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from steermoe_core.cli.main import main
from tests.rig import told

if TYPE_CHECKING:
    import pytest

    from tests.rig import Rig


def test_table(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a split: clips, each metric with its interval, the control; then the run folder."""
    run = rig.run()

    out = capsys.readouterr().out
    scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())
    row = next(line.split() for line in out.splitlines() if " dev " in line)
    values = [scores["metrics"]["wer"], scores["metrics"]["cer"], scores["controls"]["no-audio"]["wer"]]
    assert row == ["tiny", "644", "dev", "4", *(f"{score['value']:.3f}" for score in values)]
    assert [name in out for name in ("clips", "WER", "CER", "no-audio")] == [True] * 4
    assert any(line.split()[:3] == ["tiny", "644", "other"] for line in out.splitlines())
    assert out.endswith(f"run folder: {run}\n")


def test_json(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout holds JSON and nothing else, also when the run is finished already."""
    for _ in range(2):
        run = rig.run(flags=("--json",))

        (found,) = json.loads(capsys.readouterr().out)
        assert (found["run"], found["experiment"], found["steps"]) == (str(run), "tiny", 6)
        assert found["trainable_parameters"] == 644
        assert found["splits"].keys() == {"dev", "other"}
        assert found["splits"]["dev"] == json.loads((run / "evaluations" / "dev" / "scores.json").read_text())


def test_each_file_has_its_tables_when_it_ends(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The first run's are there before the second begins; JSON is one list."""
    second = rig.folder / "second.toml"
    second.write_text('extends = "tiny.toml"\nexperiment.name = "second"\nadapter = { use = "thief" }\n')

    assert main(["run", *rig.words(), str(second)]) != 0

    out = capsys.readouterr().out
    assert out.count("run folder: ") == 1
    assert out.count("\ntiny ") == 2

    second.write_text('extends = "tiny.toml"\nexperiment.name = "second"\nadapter = { use = "none" }\n')
    rig.run(flags=(str(second),))
    first, rest = capsys.readouterr().out.split("run folder: ", 1)
    assert "\ntiny " in first
    assert "\nsecond " not in first
    assert "\nsecond " in rest

    rig.run(flags=(str(second), "--json"))
    assert [one["experiment"] for one in json.loads(capsys.readouterr().out)] == ["tiny", "second"]


def test_every_file_is_checked_before_the_first_starts(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in the last file costs no training of the first."""
    second = rig.folder / "second.toml"
    second.write_text('extends = "tiny.toml"\ntrain.stepz = 1\n')

    assert main(["run", *rig.words(), str(second)]) == 2
    assert "second.toml:2:7  error[E102]" in capsys.readouterr().err
    assert not rig.runs.exists()


def test_files_can_run_at_the_same_time(
    rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its own process, with the tensors of a run alone; a run that fails stops no other."""
    monkeypatch.setenv("PYTHONPATH", rig.paths)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    second, third = (rig.folder / name for name in ("second.toml", "third.toml"))
    second.write_text('extends = "tiny.toml"\nexperiment.name = "second"\nadapter = { use = "none" }\n')
    third.write_text(
        'extends = "tiny.toml"\nexperiment.name = "third"\ntrain.learning_rate.steering = 10.0\n'
    )

    assert main(["run", *rig.words(), str(second), str(third), "--parallel", "2", "--json"]) == 1

    out, err = capsys.readouterr()
    found = {one["experiment"]: Path(one["run"]) for one in json.loads(out)}
    assert found.keys() == {"tiny", "second"}
    assert "3 of 3, third: failed" in err
    assert main(["run", *rig.words(), "--runs", str(rig.folder / "alone")]) == 0
    alone = rig.folder / "alone" / found["tiny"].name
    tensors = [load_file(run / "adapter" / "adapter.safetensors") for run in (found["tiny"], alone)]
    assert all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())


def test_as_a_process(rig: Rig) -> None:
    """Plain lines on stderr, none of them empty; results alone on stdout; exit code 0."""
    process = rig.process()
    out, err = process.communicate()

    assert process.returncode == 0, err
    assert out.startswith("scores, ")
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "loading models",
        "reading data",
        "training data",
        "training",
        "scoring dev",
        "scoring other",
        "measuring certificates",
        "comparing sounds",
    ]


def test_missing_file(rig: Rig) -> None:
    """Exit code 2 and its name."""
    rig.file = rig.folder / "nowhere.toml"
    process = rig.process()
    _, err = process.communicate()

    assert process.returncode == 2
    assert "nowhere.toml" in err
    assert "Traceback" not in err


def test_missing_weights(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4: the machine lacks something."""
    rig.run(f'decoder.weights="{rig.folder}/no-model"', expect=4)

    assert f"no weights at '{rig.folder}/no-model'" in told(capsys.readouterr().err)
