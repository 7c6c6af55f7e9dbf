"""`steermoe bench`: tables for people, JSON for programs."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.rig import sentence

if TYPE_CHECKING:
    from tests.rig import Rig


def test_a_measurement(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure has a row."""
    assert main(["bench", str(rig.file), "--steps", "2", "--ranks", "2"]) == 0

    out = capsys.readouterr().out
    assert out.startswith("2 training steps on the CPU, 1 thread\n")
    for figure in (
        "waiting",
        "utterances/s",
        "tokens/s",
        "padding, decoder",
        "MFU",
        "peak memory",
        "time in data",
    ):
        assert f"\n{figure} " in out


def test_a_roofline(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The step, its parts and its operations, with the waits of the host."""
    assert main(["bench", str(rig.file), "--roofline", "h100", "--steps", "1", "--ranks", "2"]) == 0

    out = capsys.readouterr().out
    assert out.startswith("a training step on h100, 2 × 3 clips, computed\n")
    for row in ("matrix products, attention", "waiting", "encoder", "adapter", "optimizer", "mm backward"):
        assert f"\n{row} " in out
    for table in ("part", "operation"):
        assert f"\nby {table}\n" in out
    assert re.findall(r"^(part|operation) .*kernels +syncs", out, re.MULTILINE) == ["part", "operation"]


def test_json(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Both kinds of figures; the step of a published distribution is longer than that of the digits."""
    assert main(["bench", str(rig.file), "--steps", "1", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    words = ["bench", str(rig.file), "--roofline", "l4", "--steps", "1", "--json"]
    assert main(words) == 0
    own = json.loads(capsys.readouterr().out)
    assert main([*words, "--lengths", "librispeech"]) == 0
    published = json.loads(capsys.readouterr().out)

    assert measured["shares"]
    assert {one["name"] for one in own["parts"]} > {"encoder", "decoder", "optimizer"}
    assert published["audio_seconds"] > 10 * own["audio_seconds"]


def test_random_weights(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The same figures, of clips as long as published ones, without weights and data."""
    shutil.rmtree(rig.folder / "train")
    words = ["--steps", "1", "--random-weights", "--lengths", "librispeech", "--set", "data.max_seconds=14"]
    assert main(["bench", str(rig.file), *words, "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert 3 < found["audio_seconds"] / found["clips"] < 14
    assert found["shares"]["decoder"] > 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--roofline", "h1000"], "no GPU is called 'h1000'; did you mean"),
        (["--lengths", "librispeech"], "--lengths needs --roofline or --random-weights"),
        (["--roofline", "h100", "--random-weights"], "leave out --random-weights"),
        (["--steps", "0"], "'0' is not a whole number of at least 1"),
    ],
)
def test_a_wrong_flag(rig: Rig, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence."""
    assert main(["bench", str(rig.file), *words]) == 2
    assert reason in sentence(capsys)
