"""Settings of the encoders; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import gt, le


@attrs.frozen(kw_only=True)
class ConformerConfig:
    """A frozen conformer of the FireRedASR-AED architecture, of any size.

    :param weights: a local folder (`model.pth.tar` and `cmvn.ark`, or `config.json` and `model.safetensors`),
        a hub id, or a set of weights that a plugin provides.
    :param dtype: of its weights; `auto` takes the checkpoint's.
    :param max_seconds: longest clip; the public model is meant for up to 60 seconds.
    """

    weights: str
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    max_seconds: float = attrs.field(default=60.0, validator=[gt(0.0), le(86_400.0)])


@attrs.frozen(kw_only=True)
class HfConfig:
    """A frozen audio encoder out of transformers: what `AutoModel` and `AutoFeatureExtractor` load.

    :param weights: a hub id, a local folder, or a set of weights that a plugin provides.
    :param dtype: of its weights; `auto` takes the checkpoint's.
    :param max_seconds: longest clip.
    """

    weights: str
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    max_seconds: float = attrs.field(default=60.0, validator=[gt(0.0), le(86_400.0)])
