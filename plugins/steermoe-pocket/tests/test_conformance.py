"""What every set of weights of steermoe promises, kept by those that lie in this package."""

from __future__ import annotations

from steermoe_core.testing import WeightsSuite


class TestConformerTiny(WeightsSuite):
    """The small conformer."""

    component = "pocket/conformer-tiny"


class TestAsr(WeightsSuite):
    """The trained adapter, which is taken by name as weights are."""

    component = "pocket/asr"
