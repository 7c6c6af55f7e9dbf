"""Settings of the aligner; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs

from steermoe_core.model.config import ExpertsConfig


@attrs.frozen(kw_only=True)
class AlignerConfig(ExpertsConfig):
    """Steering after the encoder or the decoder, from one bank of experts.

    :param on: the frozen part whose output is steered.
    """

    on: Literal["encoder", "decoder"] = "encoder"
