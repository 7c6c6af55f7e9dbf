"""What every adapter of steermoe promises."""

from __future__ import annotations

from typing import ClassVar

from steermoe_core.testing import AdapterSuite


class TestHoulsby(AdapterSuite):
    """On the encoder."""

    component = "houlsby"
    settings: ClassVar = {"size": 3}


class TestHoulsbyOnTheDecoder(AdapterSuite):
    """On the decoder."""

    component = "houlsby"
    settings: ClassVar = {"size": 3, "on": "decoder"}
