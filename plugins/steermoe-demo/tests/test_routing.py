"""The gates of a recording, from a real model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import steermoe_core
from steermoe_core import Segment, read_audio
from steermoe_demo.routing import routing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


def test_the_gates_of_each_layer(rig: Rig, finished: Path) -> None:
    """Each frame has shares that add up to 1; their mean is the load that the adapter measures itself."""
    model = steermoe_core.load(finished, "cpu")
    rate = model.model.encoder.sample_rate
    waveform = read_audio(rig.folder / "dev" / "001.wav", rate)
    seconds = len(waveform) / rate

    layers = routing(model, waveform, [Segment(0.0, seconds, "one", "eos")])

    model.model.adapter.watch()
    model.model.frames(model.model.encoder.features([waveform]))
    measured = model.model.adapter.statistics()
    assert [one.name for one in layers] == [str(record["layer"]) for record in measured]
    for one, record in zip(layers, measured, strict=True):
        (span,) = one.spans
        assert span.shares.shape == (model.model.encoder.frames(len(waveform)), one.experts)
        assert span.shares.sum(1) == pytest.approx(1.0, abs=1e-5)
        assert span.shares.mean(0) == pytest.approx(np.array(record["load"]), abs=1e-5)


def test_silence_and_models_without_a_choice(rig: Rig, finished: Path, trained_once) -> None:
    """Silence is not routed; a single expert, or no adapter at all, is no routing."""
    waveform = np.ones(8000, np.float32)
    silent = [Segment(0.0, 0.5, "", "silence")]
    spoken = [Segment(0.0, 0.5, "one", "eos")]
    single = trained_once("adapter.experts=1", "train.steps=1").copied(rig)

    assert routing(steermoe_core.load(finished, "cpu"), waveform, silent) == []
    assert routing(steermoe_core.load(single, "cpu"), waveform, spoken) == []
