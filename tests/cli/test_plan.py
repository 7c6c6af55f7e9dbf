"""`steermoe plan`: tables for people, JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.rig import sentence

if TYPE_CHECKING:
    from tests.rig import Rig


def test_tables(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Parts, the way of a clip, parameters, memory, data, the run folder."""
    assert main(["plan", *rig.words()]) == 0

    out = capsys.readouterr().out
    titles = ("parts", "a clip of 10 s", "parameters", "memory of a training step, estimated", "data")
    assert [title in " ".join(out.split()) for title in titles] == [True] * len(titles)
    assert "100 × 12" in out
    assert "10 of 10 clips are used" in " ".join(out.replace("│", " ").split())
    assert out.endswith(f"run folder: {rig.path()}\n")


def test_json(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The same facts; `--seconds` and `--set` change them."""
    assert main(["plan", *rig.words("train.batch_size=5"), "--json", "--seconds", "2"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["run_folder"] == str(rig.path("train.batch_size=5"))
    assert found["shapes"]["frames"] == [20, 12]
    assert sum(row["trainable"] for row in found["parameters"]) == 644
    assert [row["clips"] for row in found["data"]] == [10, 4, 3]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--set", 'decoder.weights="/nowhere"'], 4, "no weights at '/nowhere'"),
        (["--set", 'decoder.weights="nobody/nothing"'], 4, "`hf download nobody/nothing config.json`"),
        (["--seconds", "0"], 2, "'0' is not a number above 0"),
        (["--gpu", "h10"], 2, "no GPU is called 'h10'; did you mean"),
        (["--price", "2"], 2, "--ranks, --price and --lengths need --gpu"),
    ],
)
def test_what_the_run_would_refuse(
    rig: Rig, words: list[str], code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence and exit code of the run itself."""
    assert main(["plan", *rig.words(), *words]) == code
    assert reason in sentence(capsys)


def test_what_is_not_on_this_machine(
    rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, tokenizer and data that are elsewhere are said to be; the rest of the plan is printed."""
    monkeypatch.setenv("COLUMNS", "160")
    sets = ('decoder.weights="HuggingFaceTB/SmolLM2-135M-Instruct"', 'data.train.path="nowhere"')
    assert main(["plan", *rig.words(*sets)]) == 0

    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "SmolLM2-135M-Instruct (not on this machine)" in out
    assert "prompt tokens unknown (the decoder's tokenizer is not on this machine)" in out
    assert "nowhere: there is no such folder" in out
    assert "134,515,008" in out


def test_time_and_cost(rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each GPU and number of ranks."""
    monkeypatch.setenv("COLUMNS", "160")
    words = ["--gpu", "h100", "--gpu", "l4", "--ranks", "1", "--ranks", "2", "--price", "3"]
    assert main(["plan", *rig.words(), *words]) == 0

    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "training on GPUs, estimated" in out
    assert [out.count(f" {gpu} {ranks} ") for gpu in ("h100", "l4") for ranks in (1, 2)] == [1] * 4
    assert out.count("GiB: fits") == 4
