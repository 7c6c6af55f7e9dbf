"""The command keeps the contract of commands."""

from __future__ import annotations

from steermoe_core.testing import CommandSuite


class TestDemo(CommandSuite):
    """`steermoe demo`."""

    component = "demo"
    arguments = ("--help",)
