"""`steermoe ladder`: the rungs, their table, and what may be said of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from steermoe_core.plugins import load_registry
from steermoe_core.study.ladder import Ladder
from tests.rig import sentence
from tests.run.copies import change, put, say

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


@pytest.fixture
def done(rig: Rig, scored: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the words of the command on a ladder that is finished but for LoRA."""
    ladder = Ladder(file=rig.file, overrides=[], seeds=[], registry=load_registry(["lora"]))
    for job in ladder.jobs(rig.runs):
        put(scored, job.toml, job.folder.path)
        right = job.settings["rung"] == "steering"
        say(job.folder.path, *(["zero", "one", "two", "three"] if right else ["one", "two", "three", "four"]))
    capsys.readouterr()
    return ["ladder", *rig.words(), "--block", "lora"]


def test_table(done: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A line a rung, with the difference to the projection alone, and a sentence each; nothing is run."""
    assert main([*done, "--split", "dev", "--markdown"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        "| rung | split | score | seeds | trained | value (95 % interval) | difference to "
    )
    assert [line.split(" | ")[0] for line in lines[2:6]] == [
        "| projection only", "| static steering", "| steering", "| no-audio",
    ]  # fmt: skip
    assert "| -1.000 (-1.000 … -1.000) better | 1.00 |" in lines[4]
    assert lines[-2].startswith(
        "* steering is better than projection only on 4 clips of dev (WER difference -1.000"
    )


def test_json_and_latex(done: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """For programs every metric; for papers a table of booktabs."""
    assert main([*done, "--json", "--table"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in found["runs"]] == ["projection only", "static steering", "steering"]
    assert {row["rung"] for row in found["rows"]} > {"no-audio"}
    assert any("CER" in text for text in found["sentences"])

    assert main([*done, "--latex", "--metric", "cer"]) == 0
    assert "\nstatic steering & dev & CER & 17 & 644 & " in capsys.readouterr().out


def test_dry_run(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The rungs with their seeds; nothing is written."""
    words = ["ladder", *rig.words(), "--seed", "1", "--seed", "2", "--block", "lora", "--dry-run", "--json"]
    assert main(words) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["name"], run["state"]) for run in runs[:2]] == [
        ("projection only, seed 1", "waiting"),
        ("projection only, seed 2", "waiting"),
    ]
    assert not rig.runs.exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--set", 'adapter={use="none"}'], "a ladder needs one adapter that steers"),
        (["--seed", "x"], "'x' is not a whole number of at least 0"),
    ],
)
def test_usage(rig: Rig, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What has no ladder is told."""
    assert main(["ladder", *rig.words(), *words]) == 2
    assert reason in sentence(capsys)


def test_without_metrics(rig: Rig, scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rungs that have no score are said to have none."""
    ladder = Ladder(file=rig.file, overrides=["metrics=[]"], seeds=[], registry=load_registry(["lora"]))
    for job in ladder.jobs(rig.runs):
        put(scored, job.toml, job.folder.path)
        for path in job.folder.path.glob("evaluations/*/scores.json"):
            change(path, "metrics", value={})
            change(path, "controls", value={"no-audio": {}})
    capsys.readouterr()

    assert main(["ladder", *rig.words("metrics=[]"), "--block", "lora", "--table"]) == 0
    assert "the rungs have no scores: the experiment has no table [[metrics]]\n" in capsys.readouterr().out
