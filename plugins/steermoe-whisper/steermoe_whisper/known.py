"""Configs of the published Whisper models, so that a plan needs no hub; never used where weights are loaded.

The figures are those of each model's config.json on the hub; the totals of parameters that follow from them
are tested against the published ones.
"""

from __future__ import annotations

from typing import Any


def _whisper(
    width: int, layers: int, heads: int, decoder_layers: int, bands: int, vocabulary: int, dtype: str
) -> dict[str, Any]:
    return {
        "model_type": "whisper",
        "dtype": dtype,
        "d_model": width,
        "encoder_layers": layers,
        "decoder_layers": decoder_layers,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width,
        "num_mel_bins": bands,
        "vocab_size": vocabulary,
    }


#: Keyword arguments of the transformers config, by hub id.
MODELS = {
    "openai/whisper-tiny": _whisper(384, 4, 6, 4, 80, 51865, "float32"),
    "openai/whisper-tiny.en": _whisper(384, 4, 6, 4, 80, 51864, "float32"),
    "openai/whisper-base": _whisper(512, 6, 8, 6, 80, 51865, "float32"),
    "openai/whisper-small": _whisper(768, 12, 12, 12, 80, 51865, "float32"),
    "openai/whisper-medium": _whisper(1024, 24, 16, 24, 80, 51865, "float32"),
    "openai/whisper-large-v3": _whisper(1280, 32, 20, 32, 128, 51866, "float16"),
    "openai/whisper-large-v3-turbo": _whisper(1280, 32, 20, 4, 128, 51866, "float16"),
}
