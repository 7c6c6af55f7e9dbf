"""Settings of the aligner; cheap to import."""

from __future__ import annotations

import attrs

from steermoe_core.model.config import ExpertsConfig


@attrs.frozen(kw_only=True)
class AlignerConfig(ExpertsConfig):
    """Steering after the encoder, from one bank of experts."""
