"""Configs of published language models, for plans without the hub; not used where weights are loaded.

The figures are from each model's config.json on the hub. Tests compare the resulting parameter counts with
the published ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steermoe_core.system.records import Json

_SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
)


def _config(model_type: str, positions: int, *sizes: int, tied: bool = True) -> Json:
    return {
        "model_type": model_type,
        "max_position_embeddings": positions,
        "dtype": "bfloat16",
        **dict(zip(_SIZES, sizes, strict=True)),
        "tie_word_embeddings": tied,
    }


#: Keyword arguments of the transformers config, by hub id.
LANGUAGE_MODELS = {
    "Qwen/Qwen2.5-0.5B-Instruct": _config("qwen2", 32768, 896, 4864, 24, 14, 2, 151936),
    "Qwen/Qwen2.5-1.5B-Instruct": _config("qwen2", 32768, 1536, 8960, 28, 12, 2, 151936),
    "Qwen/Qwen2.5-3B-Instruct": _config("qwen2", 32768, 2048, 11008, 36, 16, 2, 151936),
    "Qwen/Qwen2.5-7B-Instruct": _config("qwen2", 32768, 3584, 18944, 28, 28, 4, 152064, tied=False),
    "Qwen/Qwen2.5-14B-Instruct": _config("qwen2", 32768, 5120, 13824, 48, 40, 8, 152064, tied=False),
    "HuggingFaceTB/SmolLM2-135M-Instruct": _config("llama", 8192, 576, 1536, 30, 9, 3, 49152),
    "HuggingFaceTB/SmolLM2-360M-Instruct": _config("llama", 8192, 960, 2560, 32, 15, 5, 49152),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": _config("llama", 8192, 2048, 8192, 24, 32, 32, 49152),
}
