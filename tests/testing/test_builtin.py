"""The built-in parts keep the contract that plugins have to keep, checked by the same suites."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from steermoe_core.plugins import load_registry
from steermoe_core.testing import (
    AdapterSuite,
    CallbackSuite,
    CollatorSuite,
    DatasetSuite,
    DecoderSuite,
    MetricSuite,
    ProjectorSuite,
    RouterSuite,
)
from steermoe_core.testing.suite import Suite
from tests.parts import save_decoder
from tests.sounds import columns, save_to_disk, write_parquet
from tests.tiny import DIGITS, write_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_every_builtin_part_has_its_suite() -> None:
    """None is left out, but for the one that reads from a hub through its library's own cache."""
    offered = {(kind, part.name) for kind, part in load_registry(no_plugins=True).plugins[0].components}
    suites = [value for value in globals().values() if isinstance(value, type) and issubclass(value, Suite)]

    assert offered - {("dataset", "hub")} == {(s.kind, s.component) for s in suites if s.component}


class TestSteering(AdapterSuite):
    """A mixture of four experts a layer."""

    component = "steering"
    settings: ClassVar = {"experts": 4, "balance": 0.3}


class TestSteeringOnTheDecoder(AdapterSuite):
    """Layer-wise steering of the decoder."""

    component = "steering"
    settings: ClassVar = {"experts": 3, "balance": 0.3, "on": "decoder"}


class TestSoftPrompt(AdapterSuite):
    """Trained embeddings before every sequence."""

    component = "soft-prompt"
    settings: ClassVar = {"tokens": 3}


class TestStaticSteering(AdapterSuite):
    """One vector a layer, in two of three layers."""

    component = "steering"
    settings: ClassVar = {"experts": 1, "layers": [1, 2], "bounded": True}


class TestNone(AdapterSuite):
    """Nothing is trained in the encoder."""

    component = "none"


class TestSoftmax(RouterSuite):
    """The default router, warm and shaken."""

    component = "softmax"
    settings: ClassVar = {"temperature": 2.0, "jitter": 0.1}


class TestTopK(RouterSuite):
    """The best two experts."""

    component = "topk"


class TestShared(RouterSuite):
    """One map for all layers."""

    component = "shared"


class TestSharedMixed(RouterSuite):
    """One map for all layers, mixed."""

    component = "shared-mixed"


class TestIdentity(ProjectorSuite):
    """No map at all."""

    component = "identity"


class TestLinear(ProjectorSuite):
    """One map that is solved before the first step."""

    component = "linear"
    settings: ClassVar = {"start": "ridge"}


class TestStacking(ProjectorSuite):
    """Three frames side by side."""

    component = "linear"
    settings: ClassVar = {"pool": {"kind": "stack", "kernel": 3}}


class TestMlp(ProjectorSuite):
    """Two maps over a maximum."""

    component = "mlp"
    settings: ClassVar = {"pool": {"kind": "max"}}


class TestSoftCtc(ProjectorSuite):
    """Mixtures of embeddings, begun on a loss of their own."""

    component = "soft-ctc"
    settings: ClassVar = {"start_steps": 3}


class TestCausalLM(DecoderSuite):
    """A small Llama."""

    component = "causal-lm"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of something small."""
        return {"weights": save_decoder(folder)}


class TestFolder(DatasetSuite):
    """The training part of a folder, at two speeds."""

    component = "folder"

    def settings(self, folder: Path) -> dict[str, object]:
        """Return the settings of something small."""
        write_folder(folder)
        return {"path": str(folder), "parts": {"test": 0.5}, "split": "train", "speeds": [1.0, 0.9]}


class TestTestPart(DatasetSuite):
    """Its test part."""

    component = "folder"

    def settings(self, folder: Path) -> dict[str, object]:
        """Return the settings of something small."""
        write_folder(folder)
        return {"path": str(folder), "parts": {"test": 0.5}, "split": "test"}


class TestJsonl(DatasetSuite):
    """Spans of sound files."""

    component = "jsonl"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of something small."""
        write_folder(folder, DIGITS[:3])
        rows = [
            {"audio": f"{n:03d}.wav", "text": text, "offset": 0.1, "seconds": 0.15}
            for n, text in enumerate(DIGITS[:3])
        ]
        (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return {"path": str(folder / "all.jsonl")}


class TestParquet(DatasetSuite):
    """Sound in a table."""

    component = "parquet"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of something small."""
        return {"path": str(write_parquet(folder / "all.parquet", columns()))}


class TestDisk(DatasetSuite):
    """Sound as the datasets library keeps it."""

    component = "disk"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of something small."""
        return {"path": str(save_to_disk(folder / "all", columns()))}


class TestAsr(CollatorSuite):
    """The default layout."""

    component = "asr"


class TestAsrAroundTheAudio(CollatorSuite):
    """Text before the audio, another end, prompts that are cut."""

    component = "asr"
    settings: ClassVar = {
        "template": "please {audio} the {prompt} :",
        "too_long": "cut-prompt",
        "answer_end": "?",
    }


class TestWer(MetricSuite):
    """Word error rate."""

    component = "wer"


class TestCer(MetricSuite):
    """Character error rate of texts as they are."""

    component = "cer"
    settings: ClassVar = {"normalise": "raw"}


class TestExactMatch(MetricSuite):
    """Whole answers."""

    component = "exact-match"


class TestTokenAccuracy(MetricSuite):
    """Tokens in their places."""

    component = "token-accuracy"


class TestSteeringAnalysis(CallbackSuite):
    """A record at every step."""

    component = "steering-analysis"
    settings: ClassVar = {"every": 1}
