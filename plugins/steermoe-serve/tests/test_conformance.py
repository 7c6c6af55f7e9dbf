"""The command keeps the contract of commands."""

from __future__ import annotations

from steermoe_core.testing import CommandSuite


class TestServe(CommandSuite):
    """`steermoe serve`."""

    component = "serve"
    arguments = ("--help",)
