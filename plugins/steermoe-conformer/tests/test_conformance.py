"""What every encoder of steermoe promises, kept by the conformer and by audio models of transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import transformers as tf

from steermoe_core.testing import EncoderSuite
from tests.conformers import save_public

if TYPE_CHECKING:
    from pathlib import Path

SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
WAVE = {**SIZE, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}


def saved(folder: Path, model: torch.nn.Module, extractor: object) -> dict[str, str]:
    """Write a model with random weights and its feature extractor; return the settings."""
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    for part in (model, extractor):
        part.save_pretrained(folder)
    return {"weights": str(folder)}


class TestConformer(EncoderSuite):
    """The FireRedASR conformer."""

    component = "conformer"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of a small random conformer."""
        torch.set_num_threads(1)
        return {"weights": save_public(folder)}


class TestTogether(EncoderSuite):
    """A family that is computed in batches."""

    component = "hf"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of a small random Parakeet."""
        config = tf.ParakeetEncoderConfig(**SIZE, subsampling_conv_channels=8, num_mel_bins=80)
        return saved(folder, tf.ParakeetEncoder(config), tf.ParakeetFeatureExtractor(feature_size=80))


class TestAlone(EncoderSuite):
    """A family of which each clip is computed alone."""

    component = "hf"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of a small random WavLM."""
        return saved(folder, tf.WavLMModel(tf.WavLMConfig(**WAVE)), tf.Wav2Vec2FeatureExtractor())


class TestAdapted(EncoderSuite):
    """A model with an adapter behind its layers: fewer and narrower frames than the taps see."""

    component = "hf"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of a small random wav2vec 2.0."""
        config = tf.Wav2Vec2Config(**WAVE, add_adapter=True, output_hidden_size=24)
        return saved(folder, tf.Wav2Vec2Model(config), tf.Wav2Vec2FeatureExtractor())


class TestSqueezed(EncoderSuite):
    """A model whose layers see fewer frames than it gives."""

    component = "hf"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of a small random SEW."""
        config = tf.SEWConfig(**{**WAVE, "conv_dim": [16] * 13})
        return saved(folder, tf.SEWModel(config), tf.Wav2Vec2FeatureExtractor())
