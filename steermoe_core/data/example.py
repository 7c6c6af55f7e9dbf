"""One example: a clip of audio and the text that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.data.audio.stored import Audio  # noqa: TC001 - attrs.resolve_types finds it here

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray


@attrs.frozen(kw_only=True)
class Example:
    """A clip, its transcript (or answer) and what the rest of the engine must know without opening it.

    :param id: unique within its source and the same in every run; predictions and comparisons are joined by
        it.
    :param audio: the sound file, or where else the audio is stored; it is decoded when a batch needs it. Only
        `data.audio` and what makes batches look into it.
    :param text: the reference transcript or answer.
    :param seconds: duration of the clip from the file's header; nan where the file could not be measured,
        which `data.check.usable` counts as a bad clip.
    :param prompt: the question that goes with this clip; None where the collator has one prompt for all.
    :param cluster: speaker or group of clips that are not independent of one another; intervals are
        bootstrapped over clusters. None: the example stands alone.
    :param speed: how much faster than recorded it is played, pitch included; `seconds` is the duration then.
    :param references: all accepted answers, where several people answered; empty: `text` alone.
    :param labels: what is known of the clip beside its text (language, kind of question); scores and
        statistics can be taken by label.
    :param turn: how often the run has used the example before; random choices for an example, such as its
        prompt, are drawn again for each turn.
    :param source: number of the training source that it came from.
    :param split: part that the example belongs to ("train", "dev", "test"), or None where the source has no
        parts. A "test" example cannot be trained on.
    """

    id: str
    audio: Audio
    text: str
    seconds: float
    prompt: str | None = None
    cluster: str | None = None
    references: tuple[str, ...] = ()
    labels: Mapping[str, str] = attrs.field(factory=dict)
    split: str | None = None
    speed: float = 1.0
    turn: int = 0
    source: int = 0

    def waveform(self, rate: int) -> NDArray[np.float32]:
        """Decode the clip, at its speed.

        :param rate: samples a second of the result.
        :returns: (samples,) float32, the mean of all channels, full scale at ±1.
        :raises DataError: the audio is missing, unreadable or empty.
        """
        from steermoe_core.data.audio.waveform import load

        return load(self.audio, round(rate / self.speed))


def at_speeds(examples: Sequence[Example], speeds: Sequence[float]) -> list[Example]:
    """Return every example once at each speed: more variety from the same recordings.

    A copy at another speed than 1 has the speed in its id.
    """
    return [example if speed == 1.0 else _faster(example, speed) for speed in speeds for example in examples]


def _faster(example: Example, speed: float) -> Example:
    return attrs.evolve(example, id=f"{example.id}@{speed:g}", speed=speed, seconds=example.seconds / speed)
