"""The files beside Whisper's weights: configuration, generation rules, feature extractor, tokenizer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

#: Every size of Whisper has heads of this width.
_HEAD = 64
#: Size of the multilingual vocabulary; the English one is a token smaller.
_MULTILINGUAL = 51865


def architecture(state: Mapping[str, Tensor], tokens: Mapping[str, int]) -> WhisperConfig:
    """Read the architecture off the weights' shapes.

    :param tokens: ids of the added tokens.
    """
    width, mels, _ = state["model.encoder.conv1.weight"].shape
    vocabulary, _ = state["model.decoder.embed_tokens.weight"].shape
    end = tokens["<|endoftext|>"]
    sides: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        sides[f"{side}_layers"] = _count_layers(state, side)
        sides[f"{side}_attention_heads"] = width // _HEAD
        sides[f"{side}_ffn_dim"] = state[f"model.{side}.layers.0.fc1.weight"].shape[0]
    return WhisperConfig(
        vocab_size=vocabulary,
        num_mel_bins=mels,
        d_model=width,
        max_source_positions=state["model.encoder.embed_positions.weight"].shape[0],
        max_target_positions=state["model.decoder.embed_positions.weight"].shape[0],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=tokens["<|startoftranscript|>"],
        begin_suppress_tokens=None,
        **sides,
    )


def generation(
    config: WhisperConfig,
    tokens: Mapping[str, int],
    settings: Mapping[str, Any],
) -> GenerationConfig:
    """Return how text is generated, in the fields that Whisper's own `generate` reads.

    :param settings: CTranslate2's `config.json`.
    """
    multilingual = config.vocab_size >= _MULTILINGUAL
    fields: dict[str, Any] = {
        "max_length": config.max_target_positions,
        "decoder_start_token_id": config.decoder_start_token_id,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "pad_token_id": config.pad_token_id,
        "suppress_tokens": settings["suppress_ids"],
        "begin_suppress_tokens": settings["suppress_ids_begin"],
        "alignment_heads": settings["alignment_heads"],
        "no_timestamps_token_id": tokens["<|notimestamps|>"],
        "prev_sot_token_id": tokens["<|startofprev|>"],
        "return_timestamps": False,
        "is_multilingual": multilingual,
    }
    if multilingual:
        languages = set(settings["lang_ids"])
        fields["lang_to_id"] = {token: number for token, number in tokens.items() if number in languages}
        fields["task_to_id"] = {task: tokens[f"<|{task}|>"] for task in ("transcribe", "translate")}
    return GenerationConfig(**fields)


def write_processor(folder: Path, config: WhisperConfig) -> None:
    """Write `preprocessor_config.json` and `tokenizer_config.json`."""
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    end = "<|endoftext|>"
    settings = {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
        "model_max_length": config.max_target_positions,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def _count_layers(state: Mapping[str, Tensor], side: str) -> int:
    prefix = f"model.{side}.layers."
    return 1 + max(int(name.removeprefix(prefix).split(".")[0]) for name in state if name.startswith(prefix))
