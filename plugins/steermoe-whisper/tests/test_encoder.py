"""Whisper's encoder: the length law, the original's numbers, and clips that never see each other."""

from __future__ import annotations

import json
from shutil import copytree
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperModel

from steermoe_core.data.padded import Padded, Waveforms
from steermoe_core.model.weights import shapes_only
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder
from tests.parts import noise, save_whisper, steering

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.model.adapter import Adapter

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
INPUTS = ("30s", "true-length")
RATE = 16_000
LONGEST = 30 * RATE
#: Every remainder that matters around windows, hops, pairs of mel frames and 30 seconds.
SAMPLES = (1, 100, 159, 160, 200, 201, 399, 400, 479, 480, 639, 640, 800, 15_999, 16_000, 16_160, 33_333)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a random Whisper."""
    torch.set_num_threads(1)
    return save_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module", params=INPUTS)
def encoder(request: pytest.FixtureRequest, folder: str) -> WhisperEncoder:
    """Return the encoder with each kind of input."""
    return build(folder, input=request.param)


@pytest.fixture(scope="module")
def short(folder: str) -> WhisperEncoder:
    """Return the encoder that computes on true lengths."""
    return build(folder, input="true-length")


def build(folder: str, **config: Any) -> WhisperEncoder:
    """Return an encoder with its own settings."""
    return WhisperEncoder(WhisperConfig(weights=folder, **config))


def waves_of(*samples: int) -> list[np.ndarray]:
    """Return clips of noise."""
    return [noise(2.5, seed)[:count] for seed, count in enumerate(samples)]


def test_offers_what_every_encoder_offers(encoder: WhisperEncoder) -> None:
    """Rate, width, layers and longest clip are those of the weights."""
    assert (encoder.sample_rate, encoder.width, encoder.layers, encoder.max_seconds) == (RATE, 32, 3, 30.0)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_length_law(encoder: WhisperEncoder) -> None:
    """Every clip gives as many frames as the law says: one for each 20 ms, never none."""
    batches = (
        [SAMPLES[start : start + 6] for start in range(0, len(SAMPLES), 6)]
        if encoder.config.input == "30s"
        else [SAMPLES]
    )
    for samples in batches:
        frames = encoder(encoder.features(waves_of(*samples)))
        assert frames.lengths.tolist() == [encoder.frames(count) for count in samples]
        assert frames.values.shape[1] == max(frames.lengths)
        assert frames.values.isfinite().all()


@given(st.integers(1, 2 * LONGEST))
def test_law_is_fifty_frames_a_second(encoder: WhisperEncoder, samples: int) -> None:
    """⌈whole hops / 2⌉, from 1 to 1500, the same for both inputs."""
    mels = min(max(samples, 400), LONGEST) // 160

    assert encoder.frames(samples) == -(-mels // 2)
    assert 1 <= encoder.frames(samples) <= 1500


@given(st.lists(st.sampled_from(SAMPLES[:-3]), min_size=1, max_size=4))
@settings(deadline=None, max_examples=25)
def test_a_clip_does_not_see_its_batch(short: WhisperEncoder, samples: list[int]) -> None:
    """Frames are those of the clip alone, whatever the padding of the batch holds."""
    waves = waves_of(*samples)
    features = short.features(waves)
    garbage = torch.where(features.mask[..., None], features.values, 1e3)

    frames = short(Padded(torch.nn.functional.pad(garbage, (0, 0, 0, 3), value=9.0), features.lengths))

    for wave, row in zip(waves, frames.rows(), strict=True):
        torch.testing.assert_close(row, short(short.features([wave])).values[0], **CLOSE)


@pytest.mark.parametrize("tail", [0.0, 0.5])
@pytest.mark.parametrize("kind", INPUTS)
def test_features_on_the_device_are_those_of_the_host(folder: str, kind: str, tail: float) -> None:
    """Of clips shorter than a window, longer than 30 seconds, loud and silent."""
    encoder = build(folder, input=kind, tail=tail)
    waves = [*waves_of(1, 399, 16_000, 33_333), np.zeros(9_000, np.float32), noise(31.0, 9)]

    found, expected = encoder.features_of(Waveforms.of(waves)), encoder.features(waves)

    assert found.host_lengths.equal(expected.host_lengths)
    torch.testing.assert_close(found.values, expected.values, rtol=0, atol=1e-4)
    assert encoder.features_of(Waveforms.of(waves).to("meta")).values.shape == expected.values.shape


def test_never_waits_for_the_device(folder: str) -> None:
    """On the meta device no value can be read: neither padding nor steering asks for one."""
    for kind in INPUTS:
        encoder = build(folder, input=kind)
        adapter = steering(encoder, balance=0.5).to("meta")
        features = encoder.features(waves_of(16_000, 33_333)).to("meta")

        frames = encoder.to("meta")(features, adapter.tap)

        assert frames.host_lengths.tolist() == [encoder.frames(16_000), encoder.frames(33_333)]


def test_a_clip_does_not_see_its_batch_in_30_seconds(folder: str) -> None:
    """Every clip is padded by itself, so batch-mates are of no account."""
    encoder = build(folder)
    waves = waves_of(100, 16_000, 33_333)

    together = encoder(encoder.features(waves))

    for wave, row in zip(waves, together.rows(), strict=True):
        torch.testing.assert_close(row, encoder(encoder.features([wave])).values[0], **CLOSE)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_30_seconds_equal_the_original(folder: str, attention: str, scaled: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """The frames are, bit by bit, the first ones that the Hugging Face encoder gives for the padded clip.

    That encoder reads `scale_embedding` and scales nothing.
    """
    place = copytree(folder, tmp_path / "whisper")
    settings = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**settings, "scale_embedding": scaled}))
    encoder = build(str(place), attention=attention)
    original = WhisperModel.from_pretrained(place, attn_implementation=attention).get_encoder().eval()
    waves = waves_of(16_000, 33_333)

    frames = encoder(encoder.features(waves))

    mels = encoder.extractor(waves, sampling_rate=RATE, return_tensors="pt").input_features
    expected = original(mels).last_hidden_state
    assert original.config.scale_embedding is scaled
    for number, row in enumerate(frames.rows()):
        assert torch.equal(row, expected[number, : len(row)])


def test_full_clips_are_the_same_in_both_inputs(folder: str) -> None:
    """A clip of 30 seconds has no padding, so nothing is left to differ."""
    wave = np.tile(noise(2.5), 12)
    thirty, true = build(folder), build(folder, input="true-length")

    torch.testing.assert_close(
        true(true.features([wave])).values, thirty(thirty.features([wave])).values, **CLOSE
    )
    assert true.frames(len(wave)) == 1500


def test_both_kinds_of_attention_agree(folder: str) -> None:
    """Padding is masked in each of them."""
    waves = waves_of(4_000, 33_333)
    one, two = (build(folder, input="true-length", attention=kind) for kind in ("sdpa", "eager"))

    for row, other in zip(one(one.features(waves)).rows(), two(two.features(waves)).rows(), strict=True):
        torch.testing.assert_close(row, other, **CLOSE)


@pytest.mark.parametrize("samples", [1, 100])
def test_very_short_clips_are_clips_with_silence(short: WhisperEncoder, samples: int) -> None:
    """A spectrum needs one window of 400 samples; what is missing is silence."""
    wave = noise(0.1)[:samples]
    longer = np.pad(wave, (0, 400 - samples))

    assert short.frames(samples) == short.frames(400) == 1
    assert torch.equal(short.features([wave]).values, short.features([longer]).values)


def test_clips_over_30_seconds_are_cut(short: WhisperEncoder) -> None:
    """There are positions for 30 seconds; a longer clip counts up to there."""
    wave = np.tile(noise(2.5), 13)

    features = short.features([wave])

    assert short.frames(len(wave)) == 1500
    assert torch.equal(features.values, short.features([wave[:LONGEST]]).values)


def test_tail_is_silence_at_the_end(folder: str) -> None:
    """Seconds of silence that a user adds by hand give the same frames."""
    tailed, plain = (build(folder, input="true-length", tail=tail) for tail in (0.5, 0.0))
    waves = waves_of(100, 16_000)
    by_hand = [np.pad(wave, (0, RATE // 2)) for wave in waves]

    assert [tailed.frames(len(wave)) for wave in waves] == [plain.frames(len(wave)) for wave in by_hand]
    one, two = tailed(tailed.features(waves)), plain(plain.features(by_hand))
    assert torch.equal(one.values, two.values)
    assert one.lengths.tolist() == two.lengths.tolist()


@pytest.mark.parametrize("recompute", [False, True])
def test_packed_clips_are_the_padded_ones(folder: str, recompute: bool) -> None:  # noqa: FBT001
    """Frames, gradients of steering and its statistics; one clip is as long as the model takes."""
    runs: list[Any] = []
    for packing in (False, True):
        encoder = build(folder, input="true-length")
        encoder.packing, encoder.recompute = packing, packing and recompute
        adapter = steering(encoder, balance=0.3)
        adapter.watch()
        waves = [noise(seconds, seed) for seed, seconds in enumerate((0.4, 30.0, 2.0, 0.01))]
        frames = encoder(encoder.features(waves), adapter.tap).zeroed()
        loss = (frames.values.sin()).sum() / frames.lengths.sum() + adapter.penalty()
        loss.backward()
        runs.append((frames, {name: p.grad for name, p in adapter.named_parameters()}, adapter.statistics()))

    (padded, gradients, statistics), (packed, found, again) = runs
    assert packed.lengths.tolist() == padded.lengths.tolist()
    torch.testing.assert_close(packed.values, padded.values, rtol=1e-5, atol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-5, msg=name)
    assert [one["load"] for one in again] == [pytest.approx(one["load"], abs=1e-5) for one in statistics]


def test_layers_are_tapped_in_order(encoder: WhisperEncoder) -> None:
    """`tap` gets each layer's output with the clip's own lengths, and what it returns goes on."""
    waves = waves_of(1_600, 3_200)
    seen = []

    def tap(layer: int, frames: Padded) -> Padded:
        seen.append((layer, frames.lengths.tolist()))
        return (
            Padded(torch.zeros_like(frames.values), frames.lengths) if layer == encoder.layers - 1 else frames
        )

    frames = encoder(encoder.features(waves), tap)

    assert seen == [(layer, [5, 10]) for layer in range(3)]
    torch.testing.assert_close(frames.values, encoder.model.layer_norm.bias.expand_as(frames.values))


def test_gradients_pass_through_the_taps(encoder: WhisperEncoder) -> None:
    """Steering in every layer learns from the last frames; the weights do not."""
    adapter: Adapter = steering(encoder)
    encoder(encoder.features(waves_of(1_600, 3_200)), adapter.tap).values.square().sum().backward()

    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.flatten(1).any(1).all() if parameter.ndim > 1 else parameter.grad.all(), name
    assert all(parameter.grad is None for parameter in encoder.parameters())


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_steered_half_precision_stays_so(folder: str, attention: str) -> None:
    """Weights in bf16 give bf16 frames near those of fp32, with steering between the layers."""
    waves = waves_of(1_600, 3_200)
    half = build(folder, input="true-length", dtype="bfloat16", attention=attention)
    full = build(folder, input="true-length")
    rough = half(half.features(waves), steering(half).tap)
    exact = full(full.features(waves), steering(full).tap)

    assert rough.values.dtype == torch.bfloat16
    for one, two in zip(rough.rows(), exact.rows(), strict=True):
        torch.testing.assert_close(one.float(), two, rtol=0.2, atol=0.2)


@pytest.mark.parametrize("dtype", ["float32", "auto"])
def test_shapes_are_known_without_weights(folder: str, dtype: str) -> None:
    """A plan counts every tensor and frame without loading one."""
    real = build(folder, dtype=dtype)
    with shapes_only():
        planned = build(folder, dtype=dtype)

    assert {n: (p.shape, p.dtype) for n, p in planned.named_parameters()} == {
        n: (p.shape, p.dtype) for n, p in real.named_parameters()
    }
    assert all(parameter.device.type == "meta" for parameter in planned.parameters())
    assert planned.frames(RATE) == real.frames(RATE) == 50


@pytest.mark.parametrize("packing", [False, True])
def test_begins_at_a_layer(encoder: WhisperEncoder, packing: bool) -> None:  # noqa: FBT001
    """The rest of what it computes of the clips; taps see their own lengths."""
    seen: list[Padded] = []

    def tap(_: int, frames: Padded) -> Padded:
        seen.append(frames)
        return frames

    encoder.packing = packing
    try:
        whole = encoder(encoder.features(waves_of(9000, 16_000)), tap)
        rest = encoder.from_layer(2, seen[1], tap)
    finally:
        encoder.packing = False

    assert [frames.lengths.tolist() for frames in (*seen, rest)] == [whole.lengths.tolist()] * 5
    torch.testing.assert_close(rest.zeroed().values, whole.zeroed().values, **CLOSE)


@pytest.mark.parametrize("input", INPUTS)
def test_layers_get_contiguous_frames(folder: str, input: str) -> None:  # noqa: A002 - the key's name
    """They would keep the convolution's order of dimensions, and copy their input in every layer."""
    encoder, seen = build(folder, input=input), []

    def tap(_: int, frames: Padded) -> Padded:
        seen.append(frames.values.is_contiguous())
        return frames

    encoder(encoder.features(waves_of(RATE, 2 * RATE)), tap)
    assert seen == [True] * encoder.layers
