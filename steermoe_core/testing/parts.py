"""Random parts of the smallest size: encoders and a language model, of no use but to test."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.model.config import CausalLMConfig
from steermoe_core.model.decoder import CausalLM
from steermoe_core.model.encoder import Encoder, Tap, untouched
from steermoe_core.testing.tiny import RATE, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from steermoe_core.testing.config import TinyConfig

WINDOW = 1600  # samples a frame of the tiny encoder


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
        hidden = self.first(self.dropout(features.values.to(self.first.weight.dtype)))
        return self.from_layer(0, features.holding(hidden), tap)

    def from_layer(self, first: int, frames: Padded, tap: Tap = untouched) -> Padded:
        """Mix the frames (B,T,D) in the layers from a given one on."""
        for number in range(first, self.layers):
            frames = self.layer(number, partial(_mix, self.mixers[number]), frames.zeroed(), tap)
        return frames


def _mix(mixer: nn.Module, values: torch.Tensor) -> torch.Tensor:
    return values + torch.tanh(mixer(values.transpose(1, 2)).transpose(1, 2))


class Pointwise(nn.Module):
    """A linear map of each frame, in the layout of a convolution: (B,D,T) → (B,D,T)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map every frame."""
        mapped: torch.Tensor = self.linear(values.transpose(1, 2))
        return mapped.transpose(1, 2)


class DenseEncoder(TinyEncoder):
    """The tiny encoder with linear maps in its layers instead of convolutions."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        with torch.random.fork_rng():
            torch.manual_seed(6)
            self.mixers = nn.ModuleList(Pointwise(self.width) for _ in range(self.layers))
        self.freeze()


def save_decoder(folder: Path) -> str:
    """Write a random Llama of width 32 with the tiny tokenizer; return the folder's name."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
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


def decoder(folder: str, **settings: Any) -> CausalLM:
    """Load the decoder that `save_decoder` wrote."""
    return CausalLM(CausalLMConfig(weights=folder, **settings))


class DecoderTower(Encoder):
    """The tiny decoder in place of an encoder, for adapters that work on a decoder.

    Its features are embeddings (B,T,H), its frames what the decoder's head reads.

    :ivar prompt: of the adapter: embeddings before every row, cut off again from the frames.
    """

    sample_rate = RATE
    max_seconds = 20.0
    prompt: Callable[[], torch.Tensor | None] | None = None

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.decoder = decoder(folder)
        self.width, self.layers = self.decoder.width, self.decoder.layers
        self.freeze()

    @property
    def embeddings(self) -> torch.Tensor:
        """The embedding table (V,H)."""
        return self.decoder.embeddings

    @property
    def tokenizer(self) -> Any:
        """The decoder's tokenizer."""
        return self.decoder.tokenizer

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (…,H) of token ids (…)."""
        return self.decoder.embed(ids)

    def frames(self, samples: int) -> int:
        """Return one frame for each window, a last short one included."""
        return -(-samples // WINDOW)

    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        """Take the first numbers of each window as its embedding (B,T,H)."""
        windows = [np.pad(wave, (0, -len(wave) % WINDOW)).reshape(-1, WINDOW) for wave in waveforms]
        return Padded.stack([torch.from_numpy(10 * w[:, : self.width].astype(np.float32)) for w in windows])

    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        """Run embeddings (B,T,H) through the decoder."""
        prompt = self.prompt() if self.prompt else None
        start = self.embeddings[:0] if prompt is None else prompt.to(self.embeddings.dtype)  # (P,H)
        rows = Padded.stack([torch.cat([start, row.to(start.dtype)]) for row in features.rows()])
        places = torch.arange(rows.values.shape[1]).expand(len(rows), -1)
        self.decoder.tap, self.decoder.recompute = tap, self.recompute
        hidden = self.decoder.hidden(rows.values, rows.mask.long(), places, None)
        frames = Padded(hidden[:, len(start) :], features.lengths)
        missing = features.values.shape[1] - frames.values.shape[1]
        return Padded(nn.functional.pad(frames.values, (0, 0, 0, missing)), features.lengths)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Return white noise."""
    return np.random.default_rng(seed).normal(size=round(seconds * RATE)).astype(np.float32)
