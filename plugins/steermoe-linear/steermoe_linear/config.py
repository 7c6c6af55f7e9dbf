"""Settings of the linear router; cheap to import."""

from __future__ import annotations

import attrs
from attrs.validators import ge, lt


@attrs.frozen(kw_only=True)
class LinearRouterConfig:
    """Gates as a linear map gives them: of any size, of either sign.

    :param jitter: in training, every number that the router sees is multiplied by one drawn from
        [1 - jitter, 1 + jitter].
    """

    jitter: float = attrs.field(default=0.0, validator=[ge(0.0), lt(1.0)])
