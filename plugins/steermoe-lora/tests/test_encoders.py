"""LoRA in encoders of other plugins, and in one that goes past its own modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from steermoe_conformer.config import ConformerConfig, HfConfig
from steermoe_conformer.encoder import ConformerEncoder
from steermoe_conformer.hf import HfEncoder
from steermoe_core.errors import UsageError
from steermoe_core.model.weights import fingerprint
from steermoe_lora.adapter import Lora
from steermoe_lora.config import LoraConfig
from tests.conformers import save_public
from tests.parts import DenseEncoder, Pointwise, TinyConfig, noise

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.padded import Padded
    from steermoe_core.model.encoder import Encoder

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}


def conformer(folder: Path) -> Encoder:
    """Return a small random conformer."""
    return ConformerEncoder(ConformerConfig(weights=save_public(folder)))


def parakeet(folder: Path) -> Encoder:
    """Return a small random encoder of transformers that knows masks."""
    from transformers import ParakeetEncoder, ParakeetEncoderConfig, ParakeetFeatureExtractor

    ParakeetEncoder(
        ParakeetEncoderConfig(**SIZE, subsampling_conv_channels=8, num_mel_bins=80)
    ).save_pretrained(folder)
    ParakeetFeatureExtractor(feature_size=80).save_pretrained(folder)
    return HfEncoder(HfConfig(weights=str(folder)))


def wavlm(folder: Path) -> Encoder:
    """Return a small random encoder that hands the weights of its attention to a function."""
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

    convolutions = {"conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    WavLMModel(WavLMConfig(**SIZE, **convolutions)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return HfEncoder(HfConfig(weights=str(folder)))


def adapted(encoder: Encoder, adapter: Lora, *seconds: float) -> Padded:
    """Return adapted frames of noise."""
    features = encoder.features([noise(length, number) for number, length in enumerate(seconds)])
    return adapter.after(encoder(features, adapter.tap))


@pytest.mark.parametrize("build", [conformer, parakeet])
def test_adapts_every_map_of_every_layer(build: type, tmp_path: Path) -> None:
    """All matrices get gradients, clips stay alone, and the frozen weights keep their identity."""
    encoder = build(tmp_path)
    before = fingerprint(encoder)
    torch.manual_seed(0)
    adapter = Lora(LoraConfig(rank=2), encoder)
    for matrix in adapter.groups()["lora"]:
        nn.init.normal_(matrix, std=0.2)

    frames = adapted(encoder, adapter, 0.8, 0.5)
    frames.zeroed().values.square().sum().backward()

    assert {layer for layer, _ in adapter.maps} == set(range(encoder.layers))
    assert len({name for _, name in adapter.maps}) >= 6
    assert all(matrix.grad is not None and matrix.grad.any() for matrix in adapter.groups()["lora"])
    assert fingerprint(encoder) == before
    torch.testing.assert_close(frames.rows()[0], adapted(encoder, adapter, 0.8).rows()[0], **CLOSE)


def test_weights_that_are_read_past_their_maps(tmp_path: Path) -> None:
    """They would be trained in name only: the first pass says so; the others can be adapted."""
    encoder = wavlm(tmp_path)
    with pytest.raises(
        UsageError, match=r"no effect on attention.k_proj, attention.out_proj, attention.q_proj"
    ):
        adapted(encoder, Lora(LoraConfig(), encoder), 0.3)

    encoder = wavlm(tmp_path)
    chosen = Lora(LoraConfig(target_modules=["intermediate_dense", "output_dense"]), encoder)

    assert adapted(encoder, chosen, 0.3).values.requires_grad


def test_one_careless_layer_is_enough(tmp_path: Path) -> None:
    """Which map it is stands in the message."""

    class Careless(Pointwise):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            mapped = nn.functional.linear(values.transpose(1, 2), self.linear.weight, self.linear.bias)
            return mapped.transpose(1, 2)

    encoder = DenseEncoder(TinyConfig())
    encoder.mixers[1] = Careless(encoder.width)
    encoder.freeze()

    with pytest.raises(UsageError, match="no effect on linear: the encoder reads these weights without"):
        adapted(encoder, Lora(LoraConfig(), encoder), 0.3)
