"""Whisper's weights under transformers' names, on a tiny random Whisper."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from steermoe_core.errors import SetupError
from steermoe_pocket import whisper
from steermoe_pocket.ctranslate2 import Ct2Model
from steermoe_pocket.whisper_names import rename

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 1,
    "decoder_attention_heads": 1,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 80,
    "vocab_size": 60,
    "max_source_positions": 50,
    "max_target_positions": 20,
    "num_mel_bins": 8,
}
SPECIAL = ("endoftext", "startoftranscript", "en", "translate", "transcribe", "startofprev", "notimestamps")
TOKENS = {f"<|{name}|>": 40 + number for number, name in enumerate(SPECIAL)}
SETTINGS = {"suppress_ids": [1, 2], "suppress_ids_begin": [3], "alignment_heads": [[0, 0]], "lang_ids": [42]}


@pytest.fixture
def model() -> WhisperForConditionalGeneration:
    """Return a tiny random Whisper."""
    torch.manual_seed(0)
    ids = {"pad_token_id": 40, "bos_token_id": 40, "eos_token_id": 40, "decoder_start_token_id": 41}
    return WhisperForConditionalGeneration(WhisperConfig(**SIZES, **ids)).eval()


def fused(model: WhisperForConditionalGeneration) -> Ct2Model:
    """Return the model's weights as CTranslate2 has them."""
    variables: dict[str, np.ndarray] = {"encoder/num_heads": np.array(1, np.int16)}
    for side in ("encoder", "decoder"):
        stack = getattr(model.model, side)
        variables[f"{side}/position_encodings/encodings"] = array(stack.embed_positions.weight)
        named(variables, f"{side}/layer_norm", stack.layer_norm)
        for number, layer in enumerate(stack.layers):
            add_layer(variables, f"{side}/layer_{number}", layer)
    for name in ("conv1", "conv2"):
        named(variables, f"encoder/{name}", getattr(model.model.encoder, name))
    variables["decoder/embeddings/weight"] = array(model.model.decoder.embed_tokens.weight)
    variables["decoder/projection/weight"] = variables["decoder/embeddings/weight"]
    return Ct2Model("WhisperSpec", 3, variables)


def add_layer(variables: dict[str, np.ndarray], name: str, layer: Any) -> None:
    attend(variables, f"{name}/self_attention", layer.self_attn, layer.self_attn_layer_norm, ("q", "k", "v"))
    if hasattr(layer, "encoder_attn"):
        attend(
            variables,
            f"{name}/attention",
            layer.encoder_attn,
            layer.encoder_attn_layer_norm,
            ("q",),
            ("k", "v"),
        )
    named(variables, f"{name}/ffn/layer_norm", layer.final_layer_norm)
    named(variables, f"{name}/ffn/linear_0", layer.fc1)
    named(variables, f"{name}/ffn/linear_1", layer.fc2)


def attend(
    variables: dict[str, np.ndarray], name: str, attention: Any, norm: Any, *groups: tuple[str, ...]
) -> None:
    named(variables, f"{name}/layer_norm", norm)
    for number, group in enumerate(groups):
        parts = [getattr(attention, f"{letter}_proj") for letter in group]
        variables[f"{name}/linear_{number}/weight"] = np.concatenate([array(part.weight) for part in parts])
        biases = [np.zeros(64) if part.bias is None else array(part.bias) for part in parts]
        variables[f"{name}/linear_{number}/bias"] = np.concatenate(biases)
    named(variables, f"{name}/linear_{len(groups)}", attention.out_proj)


def named(variables: dict[str, np.ndarray], name: str, module: Any) -> None:
    norm = isinstance(module, torch.nn.LayerNorm)
    variables[f"{name}/{'gamma' if norm else 'weight'}"] = array(module.weight)
    variables[f"{name}/{'beta' if norm else 'bias'}"] = array(module.bias)


def array(weight: torch.Tensor) -> np.ndarray:
    return weight.detach().numpy()


def test_every_weight_gets_its_name(model: WhisperForConditionalGeneration) -> None:
    """The state is the model's own, name by name and value by value."""
    state = rename(fused(model))
    expected = model.state_dict()
    assert set(state) == set(expected)
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_a_key_bias_is_refused(model: WhisperForConditionalGeneration) -> None:
    """Whisper has none, so it would get lost."""
    ct2 = fused(model)
    ct2.variables["encoder/layer_1/self_attention/linear_0/bias"][64:128] = 1
    with pytest.raises(SetupError, match="layer_1/self_attention/linear_0/bias holds a key bias"):
        rename(ct2)


def test_an_unknown_weight_is_refused(model: WhisperForConditionalGeneration) -> None:
    """Nothing is dropped in silence."""
    ct2 = fused(model)
    ct2.variables["encoder/layer_0/ffn/linear_2/weight"] = np.zeros((2, 2))
    with pytest.raises(SetupError, match="unknown weight encoder/layer_0/ffn/linear_2/weight"):
        rename(ct2)


def test_another_model_is_refused() -> None:
    """CTranslate2 carries many kinds of model."""
    with pytest.raises(SetupError, match="TransformerSpec revision 7, not WhisperSpec"):
        rename(Ct2Model("TransformerSpec", 7, {}))


def test_the_written_folder_is_the_model(
    model: WhisperForConditionalGeneration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, architecture, generation rules and feature extractor load from it."""
    monkeypatch.setattr(whisper.ctranslate2, "read", lambda *_: fused(model))
    tokenizer = tmp_path / "source.json"
    tokenizer.write_text(json.dumps({"added_tokens": [{"content": t, "id": i} for t, i in TOKENS.items()]}))
    whisper.write(tmp_path, b"", tokenizer, SETTINGS)
    loaded = WhisperForConditionalGeneration.from_pretrained(tmp_path)
    assert {name: getattr(loaded.config, name) for name in SIZES} == SIZES
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in model.state_dict().items())
    assert loaded.generation_config.suppress_tokens == [1, 2]
    assert loaded.generation_config.no_timestamps_token_id == TOKENS["<|notimestamps|>"]
    assert loaded.generation_config.is_multilingual is False
    assert WhisperFeatureExtractor.from_pretrained(tmp_path).feature_size == 8
