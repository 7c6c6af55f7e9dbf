"""What every adapter of steermoe promises."""

from __future__ import annotations

from typing import ClassVar

from steermoe_core.testing import AdapterSuite


class TestAligner(AdapterSuite):
    """Steering after the encoder."""

    component = "aligner"
    settings: ClassVar = {"experts": 3, "balance": 0.3}


class TestAlignerOnTheDecoder(AdapterSuite):
    """Steering after the decoder."""

    component = "aligner"
    settings: ClassVar = {"experts": 3, "balance": 0.3, "on": "decoder"}
