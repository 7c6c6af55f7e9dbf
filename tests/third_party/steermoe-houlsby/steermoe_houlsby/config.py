"""Settings of the bottleneck; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import gt


@attrs.frozen(kw_only=True)
class HoulsbyConfig:
    """A bottleneck after each layer: x = u + W_up gelu(W_down u).

    :param on: the frozen part whose layers get one.
    :param size: width of the bottleneck.
    """

    on: Literal["encoder", "decoder"] = "encoder"
    size: int = attrs.field(default=16, validator=gt(0))
