"""Batches of clips of noise, as long as given: what the trace of a step computes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch
from torch.func import functional_call

from steermoe_core.data.layout import Batch, ids
from steermoe_core.data.padded import Frames, Padded, Pooled
from steermoe_core.model.pooling import pool
from steermoe_core.run.assembly.costs import audio_tokens, seconds_computed
from steermoe_core.run.cost.recording import Host, Shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.model.joined import Joined

#: Answer tokens a second of English speech.
TOKENS = 4


def noise_batch(
    model: Joined,
    seconds: Sequence[float],
    text: tuple[int, int],
    token: int,
    *,
    kept: bool = False,
    features: Callable[..., Padded] | None = None,
) -> Batch:
    """Return a batch of noise, with answers as long as speech of its lengths.

    :param seconds: of each clip.
    :param text: prompt tokens before and after the audio, the same in all rows.
    :param token: id of which the answers consist; one that the projector's vocabulary has.
    :param kept: whether the batch has kept frames in place of the encoder's input features.
    :param features: in place of the encoder's.
    """
    before, after = text
    size = len(seconds)
    samples = [max(round(one * model.encoder.sample_rate), 1) for one in seconds]
    return Batch(
        ids=tuple(map(str, range(size))),
        features=_frames(model, samples) if kept else _features(features or model.encoder.features, samples),
        before=ids([[0] * before] * size),
        after=ids([[0] * after] * size),
        answer=ids([[token] * answer_tokens(one) for one in seconds]),
        seconds=torch.tensor(seconds, dtype=torch.float32),
        shared=before,
    )


def answer_tokens(seconds: float) -> int:
    """Return the tokens of an answer to speech of a length."""
    return max(round(TOKENS * seconds), 1)


def settled(train: TrainConfig) -> TrainConfig:
    """Return `[train]` with batches of one clip where the run has to find its budget."""
    if train.budget is None or train.budget[1] != "auto":
        return train
    return attrs.evolve(train, batch_size=1, batch_seconds=None, batch_tokens=None)


def clip_costs(
    model: Joined, train: TrainConfig, text: tuple[int, int], seconds: Sequence[float]
) -> list[float]:
    """Return what clips of noise cost, in the unit of the budget; empty where there is none."""
    if train.batch_seconds is not None:
        return seconds_computed(model.encoder, seconds)
    if train.batch_tokens is not None:
        return [
            float(sum(text) + answer_tokens(one) + audio_tokens(model.encoder, model.projector, one))
            for one in seconds
        ]
    return []


def keeps_frames(model: Joined, train: TrainConfig) -> bool:
    """Return whether training reads from disk what the encoder computes below the adapters."""
    return train.keep_frames and model.keepable


def phases(model: Joined, train: TrainConfig) -> dict[bool, float]:
    """Return the shares of the steps that train with the language model and without it, those above 0."""
    without = 0.0 if not train.steps else min(model.projector.start_steps / train.steps, 1.0)
    return {which: share for which, share in ((True, 1.0 - without), (False, without)) if share}


def _features(features: Callable[..., Padded], samples: list[int]) -> Padded:
    wave = np.random.default_rng(0).normal(0.0, 0.1, max(samples)).astype(np.float32)
    found = {size: features([wave[:size]]) for size in dict.fromkeys(samples)}
    rows = Padded.stack([found[size].values[0] for size in samples])
    return type(found[samples[0]])(rows.values, torch.cat([found[size].host_lengths for size in samples]))


def _frames(model: Joined, samples: list[int]) -> Frames:
    """Return frames with the shape of those that are read from disk."""
    if model.adapter.first_layer is not None:
        return _below(model, model.adapter.first_layer, _features(model.encoder.features, samples))
    lengths = [model.encoder.frames(size) for size in samples]
    frames = Frames(torch.zeros(len(samples), max(lengths), model.encoder.width), torch.tensor(lengths))
    if model.pooling is None:
        return frames
    pooled = pool(model.pooling, frames)
    return Pooled(pooled.values, pooled.host_lengths)


def _below(model: Joined, layer: int, features: Padded) -> Frames:
    """Return zeros in the shape of a layer's input; what the layers below it compute has no values."""
    seen: dict[int, Padded] = {}

    def tap(number: int, frames: Padded) -> Padded:
        seen[number] = frames
        return frames

    shapes = Shapes()
    numbers, there = shapes.numbers(model.encoder), features.holding(shapes.fake(features.values))
    with torch.no_grad(), shapes, Host(shapes):
        functional_call(model.encoder, numbers, (there, tap))
    found = seen[layer - 1]
    return Frames(torch.zeros(found.values.shape), found.host_lengths)
