"""Settings of the random parts that tests use; cheap to import."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class TinyConfig:
    """A tiny random encoder.

    :param width: width of its layers.
    :param layers: how many layers it has.
    """

    width: int = 12
    layers: int = 3
