"""Settings of the cosine router; cheap to import."""

from __future__ import annotations

import attrs
from attrs.validators import gt


@attrs.frozen(kw_only=True)
class CosineConfig:
    """Gates from the angle between a frame and a direction for each expert.

    :param temperature: cosines are divided by it; it is trained from this value on, for each layer.
    """

    temperature: float = attrs.field(default=0.1, validator=gt(0.0))
