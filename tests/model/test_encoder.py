"""What every encoder promises, checked on the tiny one that the other tests use."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.data.padded import Padded
from tests.parts import TINY, TinyConfig, TinyEncoder, noise

ENCODER = TinyEncoder(TinyConfig())


def test_is_a_component() -> None:
    """It is built from its record like any plugin's encoder."""
    encoder = TINY.build(TINY.config_class()(layers=2))

    assert encoder.layers == 2


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=4), st.integers(0, 3))
@settings(deadline=None, max_examples=25)
def test_length_law_and_batch_invariance(samples: list[int], padding: int) -> None:
    """A clip gives `frames(samples)` frames, the same in every batch."""
    waves = [noise(1.25, seed)[:count] for seed, count in enumerate(samples)]
    features = ENCODER.features(waves)
    longer = Padded(torch.nn.functional.pad(features.values, (0, 0, 0, padding), value=5.0), features.lengths)

    frames = ENCODER(longer)

    assert frames.lengths.tolist() == [ENCODER.frames(count) for count in samples]
    for wave, row in zip(waves, frames.rows(), strict=True):
        torch.testing.assert_close(row, ENCODER(ENCODER.features([wave])).values[0], rtol=1e-5, atol=1e-5)


def test_layers_are_tapped_in_order() -> None:
    """`tap` sees the output of layer 0 … L-1 and decides what the next one sees."""
    seen = []

    def tap(layer: int, frames: Padded) -> Padded:
        seen.append(layer)
        return Padded(frames.values * 0 + layer, frames.lengths) if layer == ENCODER.layers - 1 else frames

    frames = ENCODER(ENCODER.features([noise(0.5)]), tap)

    assert seen == [0, 1, 2]
    assert (frames.values == 2).all()


def test_needs_no_graph() -> None:
    """Without an adapter the encoder's output has no gradient."""
    assert not ENCODER(ENCODER.features([noise(0.5)])).values.requires_grad


def test_a_subclass_with_another_forward_cannot_begin_at_a_layer() -> None:
    """What it inherits may compute something else."""

    class Other(TinyEncoder):
        def forward(self, features, tap=None):
            return super().forward(features)

    class Both(Other):
        def from_layer(self, first, frames, tap=None):
            return super().from_layer(first, frames)

    assert ENCODER.divisible
    assert not Other(TinyConfig()).divisible
    assert Both(TinyConfig()).divisible
