"""Random parts of the smallest size: an encoder, a decoder, a Whisper, and whole models made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from torch import nn

from steermoe_core.component import Component, Selection
from steermoe_core.data.layout import Batch, ids
from steermoe_core.data.padded import Padded
from steermoe_core.model.config import (
    CausalLMConfig,
    LinearConfig,
    PoolConfig,
    SoftmaxRouterConfig,
    SteeringConfig,
)
from steermoe_core.model.decoder import CausalLM
from steermoe_core.model.encoder import Encoder, Tap, untouched
from steermoe_core.model.joined import Joined
from steermoe_core.model.projectors import LinearProjector, Projector
from steermoe_core.model.routers import SoftmaxRouter
from steermoe_core.model.steering import Steering
from tests.tiny import RATE, tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.model.adapter import Adapter

WINDOW = 1600  # samples a frame of the tiny encoder


@attrs.frozen(kw_only=True)
class TinyConfig:
    """A tiny random encoder.

    :param width: width of its layers.
    :param layers: how many layers it has.
    """

    width: int = 12
    layers: int = 3


TINY = Component(
    name="tiny",
    api=1,
    summary="a tiny random encoder for tests",
    config="tests.parts:TinyConfig",
    factory="tests.parts:TinyEncoder",
)


class TinyEncoder(Encoder):
    """Ten frames a second: a linear map of each window, then layers that mix neighbours in time."""

    sample_rate = RATE
    max_seconds = 20.0

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.width, self.layers = config.width, config.layers
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.first = nn.Linear(WINDOW, self.width)
            self.mixers = nn.ModuleList(
                nn.Conv1d(self.width, self.width, 3, padding=1) for _ in range(self.layers)
            )
            self.dropout = nn.Dropout(0.5)
        self.freeze()

    def frames(self, samples: int) -> int:
        """Return one frame for each window, a last short one included."""
        return -(-samples // WINDOW)

    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        """Cut waveforms into windows (B,T,1600)."""
        windows = [np.pad(wave, (0, -len(wave) % WINDOW)).reshape(-1, WINDOW) for wave in waveforms]
        return Padded.stack([torch.from_numpy(np.ascontiguousarray(w, dtype=np.float32)) for w in windows])

    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        """Map windows (B,T,1600) to frames (B,T,D)."""
        hidden = Padded(
            self.first(self.dropout(features.values.to(self.first.weight.dtype))), features.lengths
        )
        for number, mixer in enumerate(self.mixers):
            values = hidden.zeroed().values
            mixed = mixer(values.transpose(1, 2)).transpose(1, 2)
            hidden = tap(number, Padded(values + torch.tanh(mixed), features.lengths))
        return hidden


def save_decoder(folder: Path) -> str:
    """Write a random Llama of width 32 with the tiny tokenizer; return the folder's name."""
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer()
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(words),
        max_position_embeddings=256,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)


def save_whisper(folder: Path) -> str:
    """Write a random Whisper of width 32 and 3 layers and its feature extractor; return the folder's name."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    config = WhisperConfig(
        d_model=32,
        encoder_layers=3,
        encoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=48,
        num_mel_bins=80,
        vocab_size=32,
        init_std=0.2,
        dropout=0.5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        WhisperModel(config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return str(folder)


def decoder(folder: str, **settings: Any) -> CausalLM:
    """Load the decoder that `save_decoder` wrote."""
    return CausalLM(CausalLMConfig(weights=folder, **settings))


def build_router(selection: Selection, *context: Any) -> SoftmaxRouter:
    """Build the router that a steering adapter asks for."""
    return SoftmaxRouter(selection.config, *context)


def steering(encoder: Encoder, seed: int = 0, **settings: Any) -> Steering:
    """Return a steering adapter with a softmax router, big enough shifts to be seen."""
    router = Selection("router", "softmax", SoftmaxRouterConfig())
    defaults = {"experts": 4, "start": 1.0, "scale": 0.5, "router": router}
    torch.manual_seed(seed)
    return Steering(SteeringConfig(**{**defaults, **settings}), encoder, build_router)


def joined(
    folder: str,
    adapter: Adapter | None = None,
    projector: Projector | None = None,
    encoder: Encoder | None = None,
    **settings: Any,
) -> Joined:
    """Return a whole model: the tiny encoder, steering and a linear projector unless others are given.

    :param settings: of the decoder.
    """
    encoder = encoder or TinyEncoder(TinyConfig())
    language_model = decoder(folder, **settings)
    adapter = adapter or steering(encoder)
    torch.manual_seed(4)
    linear = LinearConfig(pool=PoolConfig(kernel=2))
    projector = projector or LinearProjector(linear, encoder.width, language_model)
    return Joined(encoder, adapter, projector, language_model)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Return white noise."""
    return np.random.default_rng(seed).normal(size=round(seconds * RATE)).astype(np.float32)


def batch(
    encoder: Encoder,
    seconds: Sequence[float] = (0.35, 1.2, 0.8),
    before: Sequence[Sequence[int]] = ((),),
    after: Sequence[Sequence[int]] = ((12, 13, 14),),
    answers: Sequence[Sequence[int]] = ((2, 3), (4, 5, 6, 7), (8,)),
    seed: int = 0,
) -> Batch:
    """Return a batch of noise; a single `before` or `after` is that of all rows; answers get EOS (0)."""
    count = len(seconds)
    rows = [list(text) for text in (before if len(before) == count else list(before) * count)]
    return Batch(
        ids=tuple(f"clip-{number}" for number in range(count)),
        features=encoder.features([noise(s, seed + number) for number, s in enumerate(seconds)]),
        before=ids(rows),
        after=ids([list(text) for text in (after if len(after) == count else list(after) * count)]),
        answer=ids([[*answer, 0] for answer in answers[:count]]),
        seconds=torch.tensor(list(seconds)),
        one_prompt=all(row == rows[0] for row in rows),
    )


def rows_of(whole: Batch, *numbers: int, padding: int = 0) -> Batch:
    """Return some rows of a batch in a new order, without the padding they had or with more of it.

    :param padding: positions of padding that are added to the features and texts; their values are not zero.
    """

    def chosen(part: Padded) -> Padded:
        again = Padded.stack([part.rows()[number] for number in numbers])
        widths = (0, 0) * (again.values.ndim - 2) + (0, padding)
        return Padded(nn.functional.pad(again.values, widths, value=7), again.lengths)

    parts = {name: chosen(getattr(whole, name)) for name in ("features", "before", "after", "answer")}
    names = tuple(whole.ids[number] for number in numbers)
    return Batch(ids=names, seconds=whole.seconds[list(numbers)], one_prompt=whole.one_prompt, **parts)
