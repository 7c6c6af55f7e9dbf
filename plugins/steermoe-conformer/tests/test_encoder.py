"""The encoder `conformer`: the length law, clips that never see each other, taps, and weights on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_conformer import checkpoint
from steermoe_conformer.config import ConformerConfig
from steermoe_conformer.encoder import ConformerEncoder
from steermoe_core.data.padded import Padded, Waveforms
from steermoe_core.model.weights import fingerprint, shapes_only
from tests.parts import noise, steering

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

RATE = 16_000
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
#: Every remainder that matters around windows, hops and groups of four frames.
SAMPLES = (1, 80, 399, 400, 559, 560, 719, 720, 879, 880, 1_039, 1_040, 1_200, 4_321, 16_000)


@pytest.fixture(scope="module")
def encoder(public: str) -> ConformerEncoder:
    """Return the small encoder."""
    return build(public)


def build(folder: str, **config: Any) -> ConformerEncoder:
    """Return an encoder with its own settings."""
    return ConformerEncoder(ConformerConfig(weights=folder, **config))


def waves_of(*samples: int) -> list[np.ndarray]:
    """Return clips of noise."""
    return [0.1 * noise(1.0, seed)[:count] for seed, count in enumerate(samples)]


def test_offers_what_every_encoder_offers(encoder: ConformerEncoder, public: str) -> None:
    """Rate, width and layers are those of the weights, the longest clip that of the settings."""
    assert (encoder.sample_rate, encoder.width, encoder.layers, encoder.max_seconds) == (RATE, 16, 3, 60.0)
    assert build(public, max_seconds=200).max_seconds == 200
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_length_law(encoder: ConformerEncoder) -> None:
    """Every clip gives as many frames as the law says."""
    frames = encoder(encoder.features(waves_of(*SAMPLES)))

    assert frames.lengths.tolist() == [encoder.frames(count) for count in SAMPLES]
    assert frames.values.shape[1] == max(frames.lengths)
    assert frames.values.isfinite().all()


@given(st.integers(1, 60 * RATE))
def test_law_is_a_frame_for_four_windows(encoder: ConformerEncoder, samples: int) -> None:
    """⌈windows / 4⌉, and never none."""
    windows = 1 + max(samples - 400, 0) // 160

    assert encoder.frames(samples) == -(-windows // 4) >= 1


def test_features_on_the_device_are_those_of_the_host(encoder: ConformerEncoder) -> None:
    """Whatever the lengths, and with nothing read from the device."""
    waves = waves_of(*SAMPLES)

    found, expected = encoder.features_of(Waveforms.of(waves)), encoder.features(waves)

    assert found.host_lengths.equal(expected.host_lengths)
    torch.testing.assert_close(found.values, expected.values, rtol=0, atol=1e-4)
    assert encoder.features_of(Waveforms.of(waves).to("meta")).values.shape == expected.values.shape


def test_never_waits_for_the_device(public: str) -> None:
    """On the meta device no value can be read: neither padding nor steering asks for one."""
    encoder = build(public)
    adapter = steering(encoder, balance=0.5).to("meta")
    features = encoder.features(waves_of(4_321, 16_000)).to("meta")

    frames = encoder.to("meta")(features, adapter.tap)

    assert frames.host_lengths.tolist() == [encoder.frames(4_321), encoder.frames(16_000)]


@given(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=4))
@settings(deadline=None, max_examples=25)
def test_a_clip_does_not_see_its_batch(encoder: ConformerEncoder, samples: list[int]) -> None:
    """Frames are those of the clip alone, whatever the padding of the batch holds."""
    waves = waves_of(*samples)
    features = encoder.features(waves)
    garbage = torch.where(features.mask[..., None], features.values, torch.nan)

    frames = encoder(Padded(torch.nn.functional.pad(garbage, (0, 0, 0, 3), value=9.0), features.lengths))

    for wave, row in zip(waves, frames.rows(), strict=True):
        torch.testing.assert_close(row, encoder(encoder.features([wave])).values[0], **CLOSE)


def test_features_are_normalised_with_the_statistics(encoder: ConformerEncoder, public: str) -> None:
    """Twice the deviation around the same mean is the same as features at half the distance from it."""
    found = checkpoint.read(public).cmvn
    features = encoder.features(waves_of(16_000))
    wide = build(public)
    wide.deviation = 2 * found.deviation

    near = Padded(found.mean + (features.values - found.mean) / 2, features.lengths)

    torch.testing.assert_close(wide(features).values, encoder(near).values, **CLOSE)
    assert fingerprint(wide) != fingerprint(encoder)


def test_layers_are_tapped_in_order(encoder: ConformerEncoder) -> None:
    """`tap` gets each block's output, and what it returns goes on."""
    features = encoder.features(waves_of(1_600, 3_200))
    seen = []

    def tap(layer: int, frames: Padded) -> Padded:
        seen.append((layer, frames.lengths.tolist()))
        last = layer == encoder.layers - 1
        return Padded(torch.full_like(frames.values, 4.0), frames.lengths) if last else frames

    frames = encoder(features, tap)

    assert seen == [(layer, [2, 5]) for layer in range(3)]
    assert (frames.values == 4).all()


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_pass_through_the_taps(public: str, recompute: bool) -> None:  # noqa: FBT001
    """Steering in every layer learns from the last frames, with or without kept activations."""
    encoder = build(public)
    encoder.recompute = recompute
    adapter = steering(encoder)

    frames = encoder(encoder.features(waves_of(1_600, 3_200)), adapter.tap)
    (frames.values * torch.linspace(-1, 1, encoder.width)).sum().backward()

    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_steered_half_precision_stays_so(public: str) -> None:
    """Weights in bf16 give bf16 frames near those of fp32."""
    half, full = build(public, dtype="bfloat16"), build(public)
    waves = waves_of(1_600, 16_000)

    rough = half(half.features(waves), steering(half).tap)
    exact = full(full.features(waves), steering(full).tap)

    assert rough.values.dtype == torch.bfloat16
    for one, two in zip(rough.rows(), exact.rows(), strict=True):
        assert (one.float() - two).norm() < 0.1 * two.norm()


@pytest.mark.parametrize(("dtype", "expected"), [("auto", torch.float16), ("float32", torch.float32)])
def test_weights_have_the_type_asked_for(
    tmp_path: Path, public: str, dtype: str, expected: torch.dtype
) -> None:
    """`auto` keeps that of the checkpoint."""
    checkpoint.write(tmp_path, checkpoint.read(public), torch.float16)

    found = build(str(tmp_path), dtype=dtype)

    assert {parameter.dtype for parameter in found.parameters()} == {expected}


def test_training_mode_never_reaches_it(encoder: ConformerEncoder) -> None:
    """A frozen encoder stays in eval mode, so that nothing in it is random."""
    encoder.train()

    assert not any(module.training for module in encoder.modules())


def test_shapes_are_known_without_weights(public: str, encoder: ConformerEncoder) -> None:
    """A plan counts every tensor and frame without loading one; that of the public model needs no hub."""
    with shapes_only():
        planned = build(public)
        large = build("FireRedTeam/FireRedASR-AED-L")

    assert {n: p.shape for n, p in planned.named_parameters()} == {
        n: p.shape for n, p in encoder.named_parameters()
    }
    assert all(parameter.device.type == "meta" for parameter in [*planned.parameters(), *large.parameters()])
    assert (large.layers, large.width, large.frames(30 * RATE)) == (16, 1280, 750)
    assert sum(parameter.numel() for parameter in large.parameters()) == 710_543_968
