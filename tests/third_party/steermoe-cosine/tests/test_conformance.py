"""What every router of steermoe promises."""

from __future__ import annotations

from typing import ClassVar

from steermoe_core.testing import RouterSuite


class TestCosine(RouterSuite):
    """With gates soft enough that gradients reach everything."""

    component = "cosine"
    settings: ClassVar = {"temperature": 0.5}
