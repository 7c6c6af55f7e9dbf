"""Settings of the augmentations; cheap to import."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - the engine reads the annotations

import attrs
from attrs.validators import ge, gt, le


@attrs.frozen(kw_only=True)
class SometimesConfig:
    """What every augmentation of this plugin has.

    :param probability: that a clip is changed, each time it is used.
    """

    probability: float = attrs.field(default=1.0, validator=[gt(0.0), le(1.0)])


@attrs.frozen(kw_only=True)
class SpecAugmentConfig(SometimesConfig):
    """SpecAugment: bands of bins and spans of frames become the mean of the clip.

    :param frequency_masks: masks over frequency; they are placed independently and may overlap.
    :param frequency_width: largest width of a mask over frequency in bins; the width is uniform from 0 on.
    :param time_masks: masks over time, likewise.
    :param time_width: largest width of a mask over time in frames of the features; Whisper and FireRedASR
        have 100 a second.
    :param time_share: largest share of a clip's frames that one mask over time covers; it limits
        `time_width` in short clips.
    """

    frequency_masks: int = attrs.field(default=2, validator=[ge(0), le(100)])
    frequency_width: int = attrs.field(default=27, validator=[gt(0), le(10_000)])
    time_masks: int = attrs.field(default=2, validator=[ge(0), le(100)])
    time_width: int = attrs.field(default=100, validator=[gt(0), le(100_000)])
    time_share: float = attrs.field(default=0.2, validator=[gt(0.0), le(1.0)])

    def __attrs_post_init__(self) -> None:
        """Check what the keys mean together."""
        if not self.frequency_masks and not self.time_masks:
            msg = "frequency_masks and time_masks are both 0, so nothing is masked"
            raise ValueError(msg)


@attrs.frozen(kw_only=True)
class NoiseConfig(SometimesConfig):
    """Noise from files, mixed with the clip at a random signal-to-noise ratio.

    :param path: a sound file, or a folder that is searched for sound files with its sub-folders. A random
        span of a random file is added, repeated where the file is shorter than the clip.
    :param min_snr: lowest signal-to-noise ratio in dB. The ratio is uniform and refers to the energies of the
        whole clip and its noise; a silent clip is not changed.
    :param max_snr: highest signal-to-noise ratio in dB.
    """

    path: Path
    min_snr: float = attrs.field(default=5.0, validator=[ge(-50.0), le(100.0)])
    max_snr: float = attrs.field(default=20.0, validator=[ge(-50.0), le(100.0)])

    def __attrs_post_init__(self) -> None:
        """Check the order of the limits."""
        _ordered("min_snr", self.min_snr, "max_snr", self.max_snr)


@attrs.frozen(kw_only=True)
class ReverbConfig(SometimesConfig):
    """Reverberation: convolution with a random impulse response from a file.

    :param path: a sound file, or a folder that is searched for sound files with its sub-folders. The
        strongest sample of a response is its direct sound, which is not delayed. Length and energy of the
        clip stay the same.
    """

    path: Path


@attrs.frozen(kw_only=True)
class SpeedConfig(SometimesConfig):
    """Playback at a random speed by resampling: tempo and pitch change together.

    :param min_speed: slowest speed; 0.9 makes a clip 11% longer. The speed is uniform. The limits of encoder
        and decoder apply to a clip at its slowest speed; batches are formed by the recorded length.
    :param max_speed: fastest speed.
    """

    min_speed: float = attrs.field(default=0.9, validator=[ge(0.25), le(4.0)])
    max_speed: float = attrs.field(default=1.1, validator=[ge(0.25), le(4.0)])

    def __attrs_post_init__(self) -> None:
        """Check the order of the limits."""
        _ordered("min_speed", self.min_speed, "max_speed", self.max_speed)


@attrs.frozen(kw_only=True)
class GainConfig(SometimesConfig):
    """A random gain, uniform in dB; samples beyond full scale are not clipped.

    :param min_db: lowest gain in dB.
    :param max_db: highest gain in dB.
    """

    min_db: float = attrs.field(default=-6.0, validator=[ge(-60.0), le(60.0)])
    max_db: float = attrs.field(default=6.0, validator=[ge(-60.0), le(60.0)])

    def __attrs_post_init__(self) -> None:
        """Check the order of the limits."""
        _ordered("min_db", self.min_db, "max_db", self.max_db)


def _ordered(low: str, lowest: float, high: str, highest: float) -> None:
    if lowest > highest:
        msg = f"{low} is {lowest:g}, above {high}, which is {highest:g}"
        raise ValueError(msg)
