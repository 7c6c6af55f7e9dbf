"""Configs of published language models, for plans without the hub; not used where weights are loaded.

The figures are from each model's config.json on the hub. Tests compare the resulting parameter counts with
the published ones.
"""

from __future__ import annotations

from typing import Any


def _qwen(*numbers: int, tied: bool) -> dict[str, Any]:
    return {"model_type": "qwen2", "max_position_embeddings": 32768, **_sizes(*numbers, tied=tied)}


def _smollm(*numbers: int) -> dict[str, Any]:
    return {"model_type": "llama", "max_position_embeddings": 8192, **_sizes(*numbers, tied=True)}


def _sizes(
    width: int, feed_forward: int, layers: int, heads: int, groups: int, vocabulary: int, *, tied: bool
) -> dict[str, Any]:
    return {
        "dtype": "bfloat16",
        "hidden_size": width,
        "intermediate_size": feed_forward,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
    }


#: Keyword arguments of the transformers config, by hub id.
LANGUAGE_MODELS = {
    "Qwen/Qwen2.5-0.5B-Instruct": _qwen(896, 4864, 24, 14, 2, 151936, tied=True),
    "Qwen/Qwen2.5-1.5B-Instruct": _qwen(1536, 8960, 28, 12, 2, 151936, tied=True),
    "Qwen/Qwen2.5-3B-Instruct": _qwen(2048, 11008, 36, 16, 2, 151936, tied=True),
    "Qwen/Qwen2.5-7B-Instruct": _qwen(3584, 18944, 28, 28, 4, 152064, tied=False),
    "Qwen/Qwen2.5-14B-Instruct": _qwen(5120, 13824, 48, 40, 8, 152064, tied=False),
    "HuggingFaceTB/SmolLM2-135M-Instruct": _smollm(576, 1536, 30, 9, 3, 49152),
    "HuggingFaceTB/SmolLM2-360M-Instruct": _smollm(960, 2560, 32, 15, 5, 49152),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": _smollm(2048, 8192, 24, 32, 32, 49152),
}
