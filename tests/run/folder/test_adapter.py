"""An adapter belongs to the frozen parts that it was trained on; a damaged one is not used."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import torch

from steermoe_core.cli.main import main
from steermoe_core.model import decoder
from tests import parts
from tests.rig import sentence

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


class OtherEncoder(parts.TinyEncoder):
    """The tiny encoder with other weights."""

    def __init__(self, config: parts.TinyConfig) -> None:
        super().__init__(config)
        self.first.weight.data += 1.0


class OtherDecoder(decoder.CausalLM):
    """The decoder with other weights."""

    def __init__(self, config: object) -> None:
        super().__init__(config)
        with torch.no_grad():
            self.embeddings[0] += 1.0


def commands(rig: Rig, run: Path) -> list[list[str]]:
    """Return the commands that load an adapter."""
    return [["evaluate", str(run), "--again"], ["transcribe", str(run), str(rig.folder / "dev" / "000.wav")]]


@pytest.mark.parametrize(
    ("part", "home", "name", "other"),
    [
        ("encoder", parts, "TinyEncoder", OtherEncoder),
        ("decoder", decoder, "CausalLM", OtherDecoder),
    ],
)
def test_other_base_model(
    rig: Rig,
    finished: Path,
    part: str,
    home: object,
    name: str,
    other: type,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`evaluate` and `transcribe` refuse, and name the part with both identities."""
    card = json.loads((finished / "adapter" / "adapter.json").read_text())["frozen"][part]
    monkeypatch.setattr(home, name, other)

    for words in commands(rig, finished):
        assert main(words) == 1
        said = sentence(capsys)
        assert (
            f"was trained on {part} {card['weights'] or card['use']} (weights {card['sha256'][:12]})" in said
        )
        assert f"but this {part} has weights " in said
        assert said.endswith(f"; use the {part} it was trained on")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is damaged (it is not JSON)"),
        ("[1]", "is damaged (it is not a table)"),
        ("\xff", "is damaged (it is not UTF-8)"),
        ('{"format": 1}', "it has no experiment"),
        ('{"format": 2}', "has format 2, and this steermoe reads 1"),
    ],
)
def test_damaged_card(
    rig: Rig, finished: Path, content: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """adapter.json is named, with what is wrong."""
    card = finished / "adapter" / "adapter.json"
    card.write_text(content, encoding="latin-1")

    for words in [*commands(rig, finished), ["evaluate", str(finished)]]:
        assert main(words) == 1
        assert str(card) in (said := sentence(capsys))
        assert reason in said


def test_damaged_tensors(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """adapter.safetensors is named."""
    tensors = finished / "adapter" / "adapter.safetensors"
    os.truncate(tensors, 200)

    for words in commands(rig, finished):
        assert main(words) == 1
        assert sentence(capsys).startswith(f"{tensors} cannot be read (")


def test_tensors_of_another_adapter(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tensor and both shapes are named."""
    other = rig.run("adapter.experts=2")
    (finished / "adapter" / "adapter.safetensors").write_bytes(
        (other / "adapter" / "adapter.safetensors").read_bytes()
    )

    assert main(commands(rig, finished)[0]) == 1
    assert "adapter.vectors is (3, 2, 12) there and (3, 3, 12) here" in sentence(capsys)


def test_failed_evaluation_leaves_the_scores(rig: Rig, finished: Path) -> None:
    """What was scored before is still there when scoring anew fails."""
    scores = (finished / "evaluations" / "dev" / "scores.json").read_bytes()
    os.truncate(finished / "adapter" / "adapter.safetensors", 200)

    assert main(["evaluate", str(finished), "--again"]) == 1
    assert (finished / "evaluations" / "dev" / "scores.json").read_bytes() == scores
