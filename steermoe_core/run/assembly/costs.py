"""What a training clip costs, in the unit of the budget: seconds of the encoder or decoder positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steermoe_core.data.examples import Examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.model.encoder import Encoder
    from steermoe_core.model.joined import Joined
    from steermoe_core.model.projectors import Projector


def costs(
    train: TrainConfig, model: Joined, collator: Collator, examples: Sequence[Example], stretch: float = 1.0
) -> list[float]:
    """Return the cost of each example; empty if the experiment has no budget.

    :param stretch: largest factor by which augmentation lengthens a clip.
    """
    longest = Examples.of(examples).seconds * stretch
    if train.batch_seconds is not None:
        return seconds_computed(model.encoder, longest.tolist())
    if train.batch_tokens is not None:
        seconds, places = np.unique(longest, return_inverse=True)
        audio = [audio_tokens(model.encoder, model.projector, one) for one in seconds.tolist()]
        positions = collator.text_positions(examples) + np.array(audio)[places]
        found: list[float] = positions.astype(float).tolist()
        return found
    return []


def seconds_computed(encoder: Encoder, seconds: Sequence[float]) -> list[float]:
    """Return the seconds that the encoder computes for each clip.

    They are the clip's own, unless the encoder pads every clip to its longest: then they are that length.
    """
    rate, longest = encoder.sample_rate, encoder.max_seconds
    if longest is not None:
        clips = [np.zeros(round(rate * one), np.float32) for one in (longest / 2, longest)]
        half, whole = (encoder.features([clip]).values.shape[1] for clip in clips)
        if half == whole:
            return [longest] * len(seconds)
    return list(seconds)


def audio_tokens(encoder: Encoder, projector: Projector, seconds: float) -> int:
    """Return the largest number of audio tokens that a clip of so many seconds becomes."""
    return projector.tokens(encoder.frames(round(seconds * encoder.sample_rate)))
