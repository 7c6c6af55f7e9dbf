"""`steermoe data`: lines for people, JSON for programs, an exit code for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.rig import sentence
from tests.tiny import write_folder

if TYPE_CHECKING:
    from tests.rig import Rig


def test_lines(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Sets, histograms, examples and what training and test share."""
    assert main(["data", str(rig.file), "--examples", "1"]) == 0

    out = capsys.readouterr().out
    assert "data.train (folder): 10 of 10 clips are used, 0.1 minutes\n" in out
    assert "  seconds: 0.3 to 0.75, median 0.525\n" in out
    assert "    0.3 – 0.4  ██████████████████████████████  2\n" in out
    assert "  000.wav (0.30 s): zero\n" in out
    assert "001.wav (" not in out
    assert "  data.eval.dev: 4 of 4 clips (000.wav, 001.wav, 002.wav, 003.wav), 4 of 4 recordings (" in out
    assert "  data.eval.other: 1 of 3 clips (001.wav), 1 of 3 recordings (001.wav), 3 of 3 texts (" in out


def test_json(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The same facts, and nothing else on stdout."""
    assert main(["data", str(rig.file), "--json", "--set", "data.max_seconds=0.5"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["sets"][0]["left_out"] == {"longer than 0.5 s": [f"00{n}.wav" for n in range(5, 10)]}
    assert found["overlap"][1]["texts"] == ["000.wav"]
    assert found["problems"] == []


def test_no_model_is_loaded(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """An encoder and a decoder that are not there do not matter."""
    assert main(["data", str(rig.file), "--set", 'decoder.weights="/nowhere"']) == 0
    assert "words: 1 to 1, median 1" in capsys.readouterr().out


def test_what_a_run_would_refuse(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The facts come first, then the problem; the exit code tells scripts."""
    (rig.folder / "train" / "000.wav").unlink()

    assert main(["data", str(rig.file), "--decode"]) == 1

    out = capsys.readouterr().out
    assert "1 cannot be read: " in out
    assert out.endswith("problem: data.train: 1 of 10 clips cannot be read, more than data.max_bad allows\n")


def test_data_that_is_not_there(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that cannot be read at all is one sentence."""
    assert main(["data", str(rig.file), "--set", 'data.eval.dev.path="/nowhere"']) == 1
    assert sentence(capsys) == "/nowhere: there is no such folder"


@pytest.mark.filterwarnings("default")
def test_warnings_are_sentences(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """A sound file that no table names is said on stderr."""
    write_folder(rig.folder / "train" / "more", ["one"])

    assert main(["data", str(rig.file)]) == 0
    assert "warning: " in capsys.readouterr().err
