"""Batches of clips of noise, as long as given: what the trace of a step computes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch

from steermoe_core.data.layout import Batch, ids
from steermoe_core.data.padded import Frames, Padded
from steermoe_core.run.assembly.costs import audio_tokens, seconds_computed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.model.joined import Joined

#: Answer tokens a second of English speech.
TOKENS = 4


def noise_batch(
    model: Joined, seconds: Sequence[float], text: tuple[int, int], token: int, *, kept: bool = False
) -> Batch:
    """Return a batch of noise, with answers as long as speech of its lengths.

    :param seconds: of each clip.
    :param text: prompt tokens before and after the audio, the same in all rows.
    :param token: id of which the answers consist; one that the projector's vocabulary has.
    :param kept: whether the batch has the encoder's frames in place of its input features.
    """
    before, after = text
    size = len(seconds)
    samples = [max(round(one * model.encoder.sample_rate), 1) for one in seconds]
    return Batch(
        ids=tuple(map(str, range(size))),
        features=_frames(model, samples) if kept else _features(model, samples),
        before=ids([[0] * before] * size),
        after=ids([[0] * after] * size),
        answer=ids([[token] * _answer(one) for one in seconds]),
        seconds=torch.tensor(seconds, dtype=torch.float32),
        shared=before,
    )


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
            float(sum(text) + _answer(one) + audio_tokens(model.encoder, model.projector, one))
            for one in seconds
        ]
    return []


def keeps_frames(model: Joined, train: TrainConfig) -> bool:
    """Return whether training reads the encoder's output from disk."""
    return train.keep_frames and model.adapter.first_layer is None


def phases(model: Joined, train: TrainConfig) -> dict[bool, float]:
    """Return the shares of the steps that train with the language model and without it, those above 0."""
    without = 0.0 if not train.steps else min(model.projector.start_steps / train.steps, 1.0)
    return {which: share for which, share in ((True, 1.0 - without), (False, without)) if share}


def _answer(seconds: float) -> int:
    """Return the tokens of an answer to speech of a length."""
    return max(round(TOKENS * seconds), 1)


def _features(model: Joined, samples: list[int]) -> Padded:
    wave = np.random.default_rng(0).normal(0.0, 0.1, max(samples)).astype(np.float32)
    found = {size: model.encoder.features([wave[:size]]) for size in dict.fromkeys(samples)}
    rows = Padded.stack([found[size].values[0] for size in samples])
    return Padded(rows.values, torch.cat([found[size].host_lengths for size in samples]))


def _frames(model: Joined, samples: list[int]) -> Frames:
    lengths = [model.encoder.frames(size) for size in samples]
    return Frames(torch.zeros(len(samples), max(lengths), model.encoder.width), torch.tensor(lengths))
