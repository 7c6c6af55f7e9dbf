"""Settings of the built-in callbacks; cheap to import."""

from __future__ import annotations

import attrs
from attrs.validators import gt


@attrs.frozen(kw_only=True)
class SteeringAnalysisConfig:
    """Writes statistics of the gates of every steered layer to metrics.jsonl.

    :param every: steps between two records; each covers the frames of one step.
    """

    every: int = attrs.field(default=100, validator=gt(0))
