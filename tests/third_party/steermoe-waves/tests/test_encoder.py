"""The encoder of raw waveforms: the original's numbers, the length law, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from steermoe_waves.config import WavesConfig
from steermoe_waves.encoder import WavesEncoder
from transformers import AutoModel

from steermoe_core import Padded, SetupError

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
FAMILIES = ("hubert", "wav2vec2")
RATE = 16_000


def noise(samples, seed=0):
    return np.random.default_rng(seed).normal(size=samples).astype(np.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_original(checkpoint, family):
    """The frames are those that the model of transformers gives for a batch with its mask."""
    folder = checkpoint(family)
    encoder, original = WavesEncoder(WavesConfig(weights=folder)), AutoModel.from_pretrained(folder).eval()
    features = encoder.features([noise(16_000), noise(7_001, 1)])

    frames = encoder(features)

    with torch.no_grad():
        expected = original(features.zeroed().values, attention_mask=features.mask.long()).last_hidden_state
    for number, row in enumerate(frames.rows()):
        torch.testing.assert_close(row, expected[number, : len(row)], **CLOSE)


@pytest.mark.parametrize("samples", [1, 293, 294, 453, 454, 16_000, 16_001])
def test_length_law(checkpoint, samples):
    """Kernels 10, 8 and 4 with strides 8, 5 and 4: a frame is 186 samples wide, 160 apart."""
    encoder = WavesEncoder(WavesConfig(weights=checkpoint()))

    assert encoder.shortest == 186
    assert encoder.frames(samples) == (max(samples, 186) - 186) // 160 + 1
    assert encoder(encoder.features([noise(samples)])).lengths.tolist() == [encoder.frames(samples)]


def test_law_of_the_published_models(checkpoint):
    """Windows of 400 samples, 320 apart."""
    published = {
        "conv_dim": (8,) * 7,
        "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
        "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    }
    encoder = WavesEncoder(WavesConfig(weights=checkpoint(**published)))

    assert encoder.shortest == 400
    assert [encoder.frames(n) for n in (1, 400, 719, 720, RATE)] == [1, 1, 1, 2, 49]


def test_padding_is_not_heard(checkpoint):
    """Whatever stands beyond the end of a clip, its frames are those of the clip alone."""
    encoder = WavesEncoder(WavesConfig(weights=checkpoint()))
    waves = [noise(900), noise(5_000, 1)]
    features = encoder.features(waves)
    garbage = Padded(torch.where(features.mask, features.values, 1e3), features.lengths)

    for wave, row in zip(waves, encoder(garbage).rows(), strict=True):
        torch.testing.assert_close(row, encoder(encoder.features([wave])).values[0], **CLOSE)


def test_loudness_is_normalised(checkpoint):
    """Each clip by itself, as the checkpoint's feature extractor says."""
    encoder = WavesEncoder(WavesConfig(weights=checkpoint()))

    quiet, loud = encoder.features([0.01 * noise(800), noise(800)]).values

    torch.testing.assert_close(quiet, loud, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("family", "changes", "reason"),
    [
        ("wavlm", {}, "family wavlm, not hubert or wav2vec2"),
        ("hubert", {"feat_extract_norm": "group"}, "would hear its padding"),
        ("wav2vec2", {"do_stable_layer_norm": False}, "norm last"),
        ("wav2vec2", {"add_adapter": True}, "convolutions behind its layers"),
    ],
)
def test_other_models_are_refused(checkpoint, family, changes, reason):
    """One sentence says why."""
    with pytest.raises(SetupError, match=reason):
        WavesEncoder(WavesConfig(weights=checkpoint(family, **changes)))


def test_no_weights(tmp_path):
    """A folder that does not exist is named."""
    with pytest.raises(SetupError, match="no weights at"):
        WavesEncoder(WavesConfig(weights=str(tmp_path / "nothing")))
