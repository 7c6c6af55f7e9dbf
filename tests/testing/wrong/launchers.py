"""Launchers that are wrong in one way each."""

from __future__ import annotations

from steermoe_core.study.launcher import Launcher


class Right(Launcher):
    """Starts nothing."""

    caught_by = None

    def __init__(self, config):
        pass

    def start(self, workers):
        return "0 workers"


class NoLauncher:
    """Is something else."""

    caught_by = "builds"

    def __init__(self, config):
        pass
