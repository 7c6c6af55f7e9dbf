"""Settings of the raw-waveform encoder; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import gt


@attrs.frozen(kw_only=True)
class WavesConfig:
    """A frozen wav2vec 2.0 or HuBERT whose front end has layer norms.

    :param weights: a hub id, a local folder, or a set of weights that a plugin provides.
    :param max_seconds: longest clip; attention over a clip needs memory that grows with its square.
    :param dtype: of its weights; `auto` takes the checkpoint's.
    """

    weights: str
    max_seconds: float = attrs.field(default=30.0, validator=gt(0.0))
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
