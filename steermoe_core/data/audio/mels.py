"""Log-mel features that were stored in place of sound: the encoder's input without its own features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from steermoe_core.data.audio.stored import Mel
from steermoe_core.data.padded import Padded
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.data.audio.stored import Audio


def stored_as_mels(audios: Sequence[Audio]) -> bool:
    """Tell whether clips are log-mel features rather than sound.

    :raises DataError: some are and some are not.
    """
    mels = [audio for audio in audios if isinstance(audio, Mel)]
    if mels and len(mels) < len(audios):
        sound = next(audio for audio in audios if not isinstance(audio, Mel))
        msg = f"log-mel features ({mels[0]}) and sound ({sound}) cannot be mixed; take one or the other"
        raise DataError(msg)
    return bool(mels)


def mel_batch(mels: Sequence[Audio], bins: Sequence[int]) -> Padded:
    """Return the features (B,T,bins) of clips as they were stored, with the frames that are no padding.

    :param bins: shape of a frame of the encoder's own features.
    :raises DataError: they are of another shape, or damaged.
    """
    frames = [torch.from_numpy(mel.features()) for mel in mels if isinstance(mel, Mel)]
    for mel, stored in zip(mels, frames, strict=True):
        if list(stored.shape[1:]) != list(bins):
            msg = (
                f"{mel}: its features have {stored.shape[1]} bins, but the encoder takes "
                f"{' × '.join(map(str, bins))}; take the encoder that they were made for, or sound"
            )
            raise DataError(msg)
    padded = Padded.stack(frames)
    given = [mel.frames() for mel in mels if isinstance(mel, Mel)]
    return Padded(padded.values, torch.minimum(torch.tensor(given), padded.lengths))
