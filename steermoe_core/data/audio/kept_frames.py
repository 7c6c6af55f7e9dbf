"""Clips whose frames the frozen encoder gave before: read from disk instead of computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from safetensors import SafetensorError
from safetensors.torch import load_file

from steermoe_core.data.audio import sounds
from steermoe_core.data.audio.stored import Audio, Stored
from steermoe_core.data.padded import Frames
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

#: Name of the tensor in a file of frames.
FRAMES = "frames"


@attrs.frozen
class Kept(Stored):
    """A clip with its frames beside it; as sound it is what it was.

    :param path: a file with its frames (T,D).
    :param origin: the clip.
    """

    path: Path
    origin: Audio

    @property
    def file(self) -> Path:
        return self.origin.file if isinstance(self.origin, Stored) else self.origin

    def samples(self) -> tuple[NDArray[np.float32], int]:
        if isinstance(self.origin, Stored):
            return self.origin.samples()
        return sounds.read(self.origin, str(self))

    def seconds(self) -> float:
        if isinstance(self.origin, Stored):
            return self.origin.seconds()
        return sounds.measure(self.origin, str(self))

    def frames(self) -> torch.Tensor:
        """Return its frames (T,D).

        :raises DataError: the file was deleted or is damaged.
        """
        try:
            return load_file(self.path)[FRAMES]
        except (OSError, KeyError, SafetensorError) as error:
            msg = f"{self.path}: the frames of {self} cannot be read ({error}); delete the file and run again"
            raise DataError(msg) from error

    def __str__(self) -> str:
        """Return where the sound is."""
        return str(self.origin)


def kept_frames(audios: Sequence[Audio]) -> Frames | None:
    """Return the kept frames of a batch; None where those of a clip are not kept."""
    kept = [audio for audio in audios if isinstance(audio, Kept)]
    if len(kept) < len(audios):
        return None
    rows = Frames.stack([audio.frames() for audio in kept])
    return Frames(rows.values, rows.lengths)
