"""Whole models of random parts of the smallest size, and a random Whisper; small parts are the kit's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from steermoe_core.component import Component, Selection
from steermoe_core.data.layout import Batch, ids
from steermoe_core.data.padded import Padded
from steermoe_core.model.config import LinearConfig, PoolConfig, SteeringConfig
from steermoe_core.model.joined import Joined
from steermoe_core.model.projectors import LinearProjector, Projector
from steermoe_core.model.routers import Router
from steermoe_core.model.steering import Steering
from steermoe_core.plugins import load_registry
from steermoe_core.testing.config import TinyConfig
from steermoe_core.testing.parts import (
    WINDOW,
    DenseEncoder,
    Pointwise,
    TinyEncoder,
    decoder,
    noise,
    save_decoder,
)
from tests.tiny import tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from transformers import PretrainedConfig, WhisperConfig

    from steermoe_core.model.adapter import Adapter
    from steermoe_core.model.decoder import Decoder
    from steermoe_core.model.encoder import Encoder

__all__ = [
    "TINY",
    "WINDOW",
    "DenseEncoder",
    "Pointwise",
    "QFormer",
    "SigmoidRouter",
    "SpeakingEncoder",
    "TinyConfig",
    "TinyEncoder",
    "batch",
    "build_router",
    "decoder",
    "joined",
    "noise",
    "router",
    "rows_of",
    "save_decoder",
    "save_random",
    "save_whisper",
    "steering",
    "whisper_config",
]

TINY = Component(
    name="tiny",
    api=1,
    summary="a tiny random encoder for tests",
    config="steermoe_core.testing.config:TinyConfig",
    factory="tests.parts:TinyEncoder",
)


class SpeakingEncoder(TinyEncoder):
    """A tiny encoder with a decoder of its own, which hears a word in every quarter of a second."""

    def own_transcripts(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        return [" ".join(["zero"] * (4 * len(wave) // self.sample_rate)) for wave in waveforms]


class SigmoidRouter(Router):
    """Gates that do not compete: a sigmoid of each expert's logit."""

    def __init__(self, config: object, width: int, experts: int, layers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(layers, experts, width))

    def forward(self, hidden: torch.Tensor, row: int) -> torch.Tensor:
        return (hidden @ self.weight[row].T).sigmoid()


class QFormer(Projector):
    """Four learned queries that look at all frames of a clip: four audio tokens, however long it is.

    What they see is a phase of many turns, so that the rounding of sums in fp32 shows.
    """

    def __init__(self, config: object, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(4, decoder.width))
        self.look = nn.MultiheadAttention(decoder.width, 4, kdim=width, vdim=width, batch_first=True)
        self.turns = 1000.0

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        queries = self.queries.expand(len(frames), -1, -1)  # (B,Q,H)
        seen, _ = self.look(queries, frames.values, frames.values, self.unseen(frames))
        tokens = queries + (self.turns * seen).sin()
        return Padded(tokens, torch.full_like(frames.lengths, len(self.queries))), None

    def unseen(self, frames: Padded) -> torch.Tensor:
        """Return which positions (B,T) no query may look at."""
        return ~frames.mask

    def tokens(self, frames: int) -> int:
        return len(self.queries)


def whisper_config(**settings: Any) -> WhisperConfig:
    """Return the config of a Whisper of width 32 and 3 layers."""
    from transformers import WhisperConfig

    sizes = {
        "d_model": 32,
        "encoder_layers": 3,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "decoder_layers": 1,
        "decoder_attention_heads": 4,
        "decoder_ffn_dim": 48,
        "init_std": 0.2,
    }
    return WhisperConfig(**{**sizes, **settings})


def save_random(
    model: Any, config: PretrainedConfig, folder: Path, dtype: Any = torch.float32, **how: Any
) -> None:
    """Write a model of a class of transformers with random weights, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model(config).to(dtype).save_pretrained(folder, **how)


def save_whisper(folder: Path) -> str:
    """Write a random Whisper and its feature extractor; return the folder's name."""
    from transformers import WhisperFeatureExtractor, WhisperModel

    config = whisper_config(
        num_mel_bins=80,
        vocab_size=32,
        dropout=0.5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    save_random(WhisperModel, config, folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return str(folder)


def save_reading_whisper(folder: Path) -> str:
    """Write the random Whisper with a tokenizer, so that its own decoder can write; its answers are short."""
    from transformers import GenerationConfig

    name = save_whisper(folder)
    tokenizer().save_pretrained(folder)
    GenerationConfig(
        max_length=12,
        decoder_start_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        return_timestamps=False,
        no_timestamps_token_id=31,
        is_multilingual=False,
    ).save_pretrained(folder)
    return name


def router(name: str = "softmax", **settings: Any) -> Selection:
    """Return the choice of a router: one of the engine's or of an installed plugin's."""
    component = load_registry().get("router", name)
    return Selection("router", name, component.config_class()(**settings))


def build_router(selection: Selection, *context: Any) -> Router:
    """Build the router that an adapter asks for."""
    built: Router = load_registry().get("router", selection.name).build(selection.config, *context)
    return built


def steering(encoder: Encoder, seed: int = 0, **settings: Any) -> Steering:
    """Return a steering adapter with a softmax router, big enough shifts to be seen."""
    defaults = {"experts": 4, "start": 1.0, "scale": 0.5, "router": router()}
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
        shared=len(rows[0]) if all(row == rows[0] for row in rows) else 0,
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
    return Batch(ids=names, seconds=whole.seconds[list(numbers)], shared=whole.shared, **parts)
