"""Settings of the Whisper encoder; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import ge, le


@attrs.frozen(kw_only=True)
class WhisperConfig:
    """A frozen Whisper encoder of any size.

    :param weights: a hub id, a local folder, or a set of weights that a plugin provides.
    :param input: `30s` pads every clip to 30 seconds, as Whisper was trained; `true-length` computes on the
        clip's own frames, which is 5 to 10 times cheaper for short clips and changes the numbers slightly.
    :param tail: seconds of silence added to the end of every clip.
    :param dtype: of its weights; `auto` takes the checkpoint's.
    :param attention: implementation of attention.
    """

    weights: str
    input: Literal["30s", "true-length"] = "30s"
    tail: float = attrs.field(default=0.0, validator=[ge(0.0), le(30.0)])
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    attention: Literal["sdpa", "eager"] = "sdpa"

    @property
    def unpackable(self) -> str:
        """Why clips cannot be packed under these settings; empty if they can."""
        if self.input == "30s":
            return 'input = "30s" makes all clips equally long; choose "true-length"'
        return "" if self.attention == "sdpa" else 'it needs attention = "sdpa"'
