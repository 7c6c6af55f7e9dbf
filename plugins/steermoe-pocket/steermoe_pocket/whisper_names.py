"""CTranslate2's names of Whisper's weights, as transformers names them.

CTranslate2 stores query, key and value of self-attention as one matrix, and key and value of cross-attention
as another. Whisper's key projection has no bias; there the fused bias holds zeros.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from steermoe_pocket.ctranslate2 import Ct2Model

_SPEC, _REVISION = "WhisperSpec", 3

#: Modules of the encoder or decoder.
_TOP = {
    "conv1": ("conv1",),
    "conv2": ("conv2",),
    "layer_norm": ("layer_norm",),
    "embeddings": ("embed_tokens",),
    "position_encodings": ("embed_positions",),
}
#: Modules of a layer; several names share the rows of one matrix.
_LAYER = {
    "self_attention/layer_norm": ("self_attn_layer_norm",),
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "attention/layer_norm": ("encoder_attn_layer_norm",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
    "ffn/layer_norm": ("final_layer_norm",),
    "ffn/linear_0": ("fc1",),
    "ffn/linear_1": ("fc2",),
}
_VALUES = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "encodings": "weight"}
_NAME = re.compile(r"(encoder|decoder)/(?:layer_(\d+)/)?(.+)/(\w+)")


def rename(model: Ct2Model) -> dict[str, Tensor]:
    """Return the state of a `WhisperForConditionalGeneration`, fp32.

    :raises SetupError: when the file holds another model, or a key bias that is not zero.
    """
    if (model.spec, model.revision) != (_SPEC, _REVISION):
        msg = f"model.bin holds {model.spec} revision {model.revision}, not {_SPEC} revision {_REVISION}"
        raise SetupError(msg)
    weights = [
        (name, values) for name, values in model.variables.items() if values.ndim
    ]  # no flags, no numbers
    return {name: _tensor(values) for weight in weights for name, values in _renamed(*weight)}


def _renamed(name: str, values: NDArray[np.generic]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    if name == "decoder/projection/weight":
        yield "proj_out.weight", values
        return
    match = _NAME.fullmatch(name)
    side, layer, module, kind = match.groups() if match else ("", None, "", "")
    modules = (_LAYER if layer else _TOP).get(module, ())
    if not modules or kind not in _VALUES:
        msg = f"model.bin has an unknown weight {name}"
        raise SetupError(msg)
    prefix = f"model.{side}.layers.{layer}" if layer else f"model.{side}"
    for part, rows in zip(modules, np.split(values, len(modules)), strict=True):
        if part.endswith("k_proj") and kind == "bias":
            _check_zero(name, rows)
        else:
            yield f"{prefix}.{part}.{_VALUES[kind]}", rows


def _check_zero(name: str, bias: NDArray[np.generic]) -> None:
    if np.any(bias):
        msg = f"model.bin: {name} holds a key bias, which Whisper does not have"
        raise SetupError(msg)


def _tensor(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
