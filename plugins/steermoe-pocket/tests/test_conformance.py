"""What every set of weights of steermoe promises, kept by the one that lies in this package."""

from __future__ import annotations

from steermoe_core.testing import WeightsSuite


class TestConformerTiny(WeightsSuite):
    """The small conformer."""

    component = "pocket/conformer-tiny"
