"""The configs that plans know by heart give models of exactly the published size."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, WhisperForConditionalGeneration

from steermoe_core.model.weights import shapes_only
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder
from steermoe_whisper.known import MODELS

#: Parameters of the whole model that the hub states; the output layer is the embedding table.
PUBLISHED = {
    "openai/whisper-tiny": 37_760_640,
    "openai/whisper-tiny.en": 37_760_256,
    "openai/whisper-base": 72_593_920,
    "openai/whisper-small": 241_734_912,
    "openai/whisper-medium": 763_857_920,
    "openai/whisper-large-v3": 1_543_490_560,
    "openai/whisper-large-v3-turbo": 808_878_080,
}


@pytest.mark.parametrize("name", MODELS)
def test_totals_are_the_published_ones(name: str) -> None:
    """To the last parameter, on the meta device."""
    config = AutoConfig.for_model(**MODELS[name])
    with torch.device("meta"):
        model = WhisperForConditionalGeneration._from_config(config)

    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name]


def test_the_large_encoder_can_be_planned_without_its_files() -> None:
    """30 seconds become 1500 frames of width 1280, from 128 mel bands, as the published encoder has them."""
    with shapes_only():
        encoder = WhisperEncoder(WhisperConfig(weights="openai/whisper-large-v3", dtype="auto"))

    assert (encoder.frames(30 * 16_000), encoder.width, encoder.layers) == (1500, 1280, 32)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 636_968_960
    assert encoder.extractor.feature_size == 128
    assert next(encoder.parameters()).dtype == torch.float16
