"""The configs that plans know by heart give models of exactly the published size."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from steermoe_core.model.known import LANGUAGE_MODELS

#: Parameters that each model's page on the hub states, tied embeddings counted once.
PUBLISHED = {
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-3B-Instruct": 3_085_938_688,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-14B-Instruct": 14_770_033_664,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M-Instruct": 361_821_120,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1_711_376_384,
}


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_totals_are_the_published_ones(name: str) -> None:
    """To the last parameter, on the meta device."""
    config = AutoConfig.for_model(**LANGUAGE_MODELS[name])
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)

    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name]
