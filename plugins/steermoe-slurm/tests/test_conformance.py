"""The launcher keeps the contract of launchers."""

from __future__ import annotations

from typing import ClassVar

import steermoe_slurm
from steermoe_core.testing import LauncherSuite


class TestSlurm(LauncherSuite):
    """The launcher `slurm`."""

    component = "slurm"
    settings: ClassVar = {"workers": 2, "hours": 0.5, "gpus": 1}


def test_it_offers_one_launcher() -> None:
    """Nothing else."""
    (component,) = steermoe_slurm.steermoe_launchers()
    assert component.name == "slurm"
