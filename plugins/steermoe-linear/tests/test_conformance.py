"""What every router of steermoe promises."""

from __future__ import annotations

from steermoe_core.testing import RouterSuite


class TestLinear(RouterSuite):
    """Gates of any size and sign."""

    component = "linear"
