"""What every adapter and every callback of steermoe promises."""

from __future__ import annotations

from typing import ClassVar

from steermoe_core.testing import AdapterSuite, CallbackSuite


class TestLora(AdapterSuite):
    """Low-rank matrices in the encoder's layers."""

    component = "lora"
    settings: ClassVar = {"rank": 2}


class TestLoraOnTheDecoder(AdapterSuite):
    """Low-rank matrices in the decoder's layers."""

    component = "lora"
    settings: ClassVar = {"rank": 2, "on": "decoder"}


class TestLoraAnalysis(CallbackSuite):
    """The watcher of these matrices."""

    component = "lora-analysis"
    settings: ClassVar = {"every": 1}
