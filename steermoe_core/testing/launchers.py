"""The checks of a launcher; what it starts is tested where it can be started."""

from __future__ import annotations

from typing import Any

from steermoe_core.study.launcher import Launcher
from steermoe_core.testing.suite import Suite


class LauncherSuite(Suite):
    """Checks of a `Launcher`: its record, its settings and its type. They start nothing."""

    kind = "launcher"

    def check_type(self, part: Any) -> None:
        """Refuse what is no launcher."""
        self.expect_instance(part, Launcher)
