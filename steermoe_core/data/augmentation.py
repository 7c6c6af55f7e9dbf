"""Random changes of training clips: a pure function of the seed, the example and its turn."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch

from steermoe_core.data.audio.stored import Audio, StoredAudio
from steermoe_core.data.audio.waveform import load
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.data.padded import Padded

    Array = NDArray[np.float32]


class Augmentation:
    """Changes clips in training; evaluation and validation use the clips as they are.

    A subclass overrides `waveform`, `features` or both. Every random choice comes from the generator that
    the method is given. Its numbers depend on the seed of the experiment, the id of the example, how often
    the run has used the example before, and the place of the augmentation in the experiment, and on nothing
    else. Worker processes, ranks and a resume therefore do not change a clip, as long as an augmentation
    keeps nothing from one clip to the next.
    """

    #: Largest factor by which `waveform` lengthens a clip. The limits on the length of a training clip apply
    #: to the clip at this length.
    stretch: float = 1.0

    def waveform(self, waveform: Array, rate: int, random: np.random.Generator) -> Array:  # noqa: ARG002
        """Return the changed waveform (samples',), at least one sample; do not write into the given array.

        :param waveform: (samples,) float32, mono, full scale at ±1.
        :param rate: samples a second.
        """
        return waveform

    def features(self, features: Array, random: np.random.Generator) -> Array:  # noqa: ARG002
        """Return the changed features (T,F) of the same shape; do not write into the given array.

        :param features: (T,F) float32, the encoder's input for one clip without padding.
        """
        return features


@attrs.frozen(eq=False)
class _Changed(StoredAudio):
    """An augmented clip in memory.

    :param origin: the clip.
    :param waveform: (samples,) float32.
    :param rate: samples a second.
    """

    origin: Audio
    waveform: Array
    rate: int

    @property
    def file(self) -> Path:
        return self.origin.file if isinstance(self.origin, StoredAudio) else self.origin

    def samples(self) -> tuple[Array, int]:
        return self.waveform[:, None], self.rate

    def seconds(self) -> float:
        return len(self.waveform) / self.rate

    def __str__(self) -> str:
        """Return where the clip is."""
        return str(self.origin)


@attrs.frozen
class _Step:
    """One method of one augmentation.

    :param number: place of the augmentation in the experiment.
    :param label: its name in errors.
    """

    number: int
    label: str
    augmentation: Augmentation


class Augmented:
    """A collate function whose batches consist of augmented clips.

    Waveforms are changed before any collator reads them, and features in the finished batch, so that it works
    with every collator.

    :param collate: makes a batch of examples, row by row.
    :param augmentations: in the order in which they are applied, each with its name in errors.
    :param rate: samples a second of the waveforms that the encoder takes.
    :param seed: of the experiment.
    """

    def __init__(
        self,
        collate: Callable[[Sequence[Example]], Batch],
        augmentations: Mapping[str, Augmentation],
        rate: int,
        seed: int,
    ) -> None:
        steps = [_Step(number, *item) for number, item in enumerate(augmentations.items())]
        self._collate = collate
        self._waveform_steps = [step for step in steps if changes_waveforms(step.augmentation)]
        self._feature_steps = [step for step in steps if changes_features(step.augmentation)]
        self._rate = rate
        self._seed = seed

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """Return a batch of augmented examples.

        :raises DataError: a clip cannot be read, or an augmentation returns what it must not.
        """
        if self._waveform_steps:
            examples = [self._heard(example) for example in examples]
        batch = self._collate(examples)
        return replace(batch, features=self._seen(batch.features, examples)) if self._feature_steps else batch

    def _heard(self, example: Example) -> Example:
        """Return an example with its augmented waveform, which has the example's speed already."""
        waveform = load(example.audio, round(self._rate / example.speed))
        for step in self._waveform_steps:
            longest = len(waveform) * step.augmentation.stretch + 1
            random = self._random(example, step, "waveform")
            waveform = step.augmentation.waveform(waveform, self._rate, random)
            _check(step, waveform, waveform.ndim == 1 and 0 < len(waveform) <= longest)
        audio = _Changed(example.audio, waveform, self._rate)
        return attrs.evolve(example, audio=audio, speed=1.0, seconds=audio.seconds())

    def _seen(self, features: Padded, examples: Sequence[Example]) -> Padded:
        """Return features (B,T,F) with each row augmented; the padding stays as it is."""
        values = features.values.clone()
        for row, length, example in zip(values, features.lengths.tolist(), examples, strict=True):
            clip = row[:length].float().numpy()  # (T_b,F)
            shape = clip.shape
            for step in self._feature_steps:
                if len(shape) != 2:  # noqa: PLR2004 - T and F
                    msg = (
                        f"{step.label} changes features of the shape (frames, bins), but those of this "
                        f"encoder have the shape {shape}; remove it, or choose another encoder"
                    )
                    raise DataError(msg)
                clip = step.augmentation.features(clip, self._random(example, step, "features"))
                _check(step, clip, clip.shape == shape)
            row[:length] = torch.from_numpy(np.ascontiguousarray(clip))
        return type(features)(values, features.lengths)

    def _random(self, example: Example, step: _Step, method: str) -> np.random.Generator:
        key = f"{self._seed}\0{example.turn}\0{example.id}\0{step.number}\0{method}"
        digest = hashlib.sha256(key.encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def changes_waveforms(augmentation: Augmentation) -> bool:
    """Return whether an augmentation overrides `Augmentation.waveform`."""
    return type(augmentation).waveform is not Augmentation.waveform


def changes_features(augmentation: Augmentation) -> bool:
    """Return whether an augmentation overrides `Augmentation.features`."""
    return type(augmentation).features is not Augmentation.features


def stretch(augmentations: Iterable[Augmentation]) -> float:
    """Return the largest factor by which augmentations together lengthen a clip."""
    return math.prod(augmentation.stretch for augmentation in augmentations)


def _check(step: _Step, values: Array, fits: bool) -> None:  # noqa: FBT001
    """Refuse what the collator or the encoder cannot use.

    :raises DataError: says what the augmentation returned.
    """
    wrong = ""
    if not fits or values.dtype != np.float32:
        wrong = f"an array of the shape {values.shape} and type {values.dtype}"
    elif not np.isfinite(values).all():
        wrong = "values that are not finite"
    if wrong:
        msg = f"{step.label} returned {wrong}, which cannot be used; `steermoe check-plugin` explains why"
        raise DataError(msg)
