"""Random checkpoints of the smallest size, as `save_pretrained` leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (8, 5, 4),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "vocab_size": 12,
}


def save(folder: Path, family: str = "hubert", **changes: Any) -> str:
    """Write random weights and a feature extractor; return the folder's name."""
    from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

    with torch.random.fork_rng():
        torch.manual_seed(5)
        AutoModel.from_config(AutoConfig.for_model(family, **{**SIZES, **changes})).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a checkpoint."""
    torch.set_num_threads(1)
    return lambda family="hubert", **changes: save(tmp_path / family, family, **changes)
