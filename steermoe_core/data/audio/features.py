"""Clips with ready features: stored log-mel features, and kept frames of the frozen encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch

from steermoe_core.data.audio.stored import Audio, Mel, StoredAudio
from steermoe_core.data.audio.waveform import duration, samples
from steermoe_core.data.padded import Frames, Padded, Pooled
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from steermoe_core.data.audio.shards import Stored


@attrs.frozen
class Kept(StoredAudio):
    """A clip whose frames are kept on disk; its audio is that of the clip.

    :param stored: where its frames (T,D) are.
    :param pooled: whether the projector's pooling has been applied to them.
    :param origin: the clip.
    """

    stored: Stored
    pooled: bool
    origin: Audio

    @property
    def file(self) -> Path:
        return self.origin.file if isinstance(self.origin, StoredAudio) else self.origin

    def samples(self) -> tuple[NDArray[np.float32], int]:
        return samples(self.origin)

    def seconds(self) -> float:
        return duration(self.origin)

    def frames(self) -> torch.Tensor:
        """Return its frames (T,D).

        :raises DataError: the shard was deleted or is damaged.
        """
        try:
            return self.stored.read()
        except DataError as error:
            msg = f"the frames of {self} are lost: {error}; delete that file and run again"
            raise DataError(msg) from None

    def __str__(self) -> str:
        """Return where the audio is."""
        return str(self.origin)


def kept_frames(audios: Sequence[Audio]) -> Frames | None:
    """Return the kept frames (B,T,D) of a batch; None unless every clip has them."""
    kept = [audio for audio in audios if isinstance(audio, Kept)]
    if len(kept) < len(audios):
        return None
    values = Padded.stack([audio.frames() for audio in kept]).values
    lengths = torch.tensor([audio.stored.length for audio in kept])
    return Pooled(values, lengths) if kept[0].pooled else Frames(values, lengths)


def log_mels(audios: Sequence[Audio]) -> list[Mel]:
    """Return the clips if they are log-mel features; none if they are audio.

    :raises DataError: some are and some are not.
    """
    mels = [audio for audio in audios if isinstance(audio, Mel)]
    if mels and len(mels) < len(audios):
        sound = next(audio for audio in audios if not isinstance(audio, Mel))
        msg = f"log-mel features ({mels[0]}) and sound ({sound}) cannot be mixed; take one or the other"
        raise DataError(msg)
    return mels


def mel_batch(mels: Sequence[Mel], bins: Sequence[int]) -> Padded:
    """Return stored features (B,T,bins) with the lengths of their clips.

    :param bins: shape of a frame of the encoder's own features.
    :raises DataError: they are of another shape, or damaged.
    """
    features = [torch.from_numpy(mel.features()) for mel in mels]  # (T_b,bins) each
    for mel, rows in zip(mels, features, strict=True):
        if list(rows.shape[1:]) != list(bins):
            msg = (
                f"{mel}: its features have {rows.shape[1]} bins, but the encoder takes "
                f"{' × '.join(map(str, bins))}; take the encoder that they were made for, or sound"
            )
            raise DataError(msg)
    padded = Padded.stack(features)
    return Padded(padded.values, torch.tensor([mel.frames() for mel in mels]).minimum(padded.lengths))
