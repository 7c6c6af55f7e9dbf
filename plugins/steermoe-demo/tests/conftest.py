"""Whole runs on tiny parts, as the engine's own tests have them."""

from __future__ import annotations

from tests.conftest import decoder_folder, finished, rig, rig_plugin, site, trained_once

__all__ = ["decoder_folder", "finished", "rig", "rig_plugin", "site", "trained_once"]
