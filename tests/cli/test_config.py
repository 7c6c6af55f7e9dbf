"""`steermoe config`: the whole experiment as TOML, and where each value came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import tomli

from steermoe_core.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
experiment.name = "first"
encoder = { use = "whisper", weights = "w" }
decoder = { use = "causal-lm", weights = "d" }
train.steps = 1
data.train = { use = "folder", path = "." }
data.eval.all = { use = "folder", path = "." }
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an experiment that is right where the Whisper plugin is installed."""
    pytest.importorskip("steermoe_whisper")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "first.toml"
    path.write_text(TEXT)
    return path


def test_it_prints_a_complete_experiment(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints is an experiment file that prints the same again."""
    assert main(["config", str(file), "--set", "train.steps=5"]) == 0
    text = capsys.readouterr().out
    assert tomli.loads(text)["train"]["steps"] == 5
    assert tomli.loads(text)["projector"]["use"] == "linear"
    file.write_text(text)
    assert main(["config", str(file)]) == 0
    assert capsys.readouterr().out == text


def test_blame(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File and line, flag, or whose default it is."""
    assert main(["config", file.name, "--set", "train.warmup=1", "--blame"]) == 0
    lines = {
        line.partition("=")[0].strip(): line.partition("# ")[2]
        for line in capsys.readouterr().out.splitlines()
    }
    assert lines["steps"] == "first.toml:4"
    assert lines["warmup"] == "--set"
    assert lines["bucket"] == "default of steermoe"


def test_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same facts as data."""
    assert main(["config", str(file), "--json", "--blame"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["experiment"]["experiment"]["seed"] == 17
    assert facts["origins"]["experiment.seed"] == "default of steermoe"
    assert facts["origins"]["train.steps"].endswith("first.toml:4")
    assert len(facts["digest"]) == 8


def test_problems_go_to_stderr_or_into_the_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, with exit code 2."""
    words = ["config", str(file), "--set", "train.stepz=1", "--set", "train.clip=0"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("error[")) == ("", 2)
    assert main([*words, "--json"]) == 2
    assert [problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]] == [
        "E102",
        "E301",
    ]


def test_a_blocked_plugin_is_exit_code_3(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real registry says who is blocked."""
    assert main(["--no-plugins", "config", str(file)]) == 3
    assert 'no encoder named "whisper": its plugin is blocked' in capsys.readouterr().err
