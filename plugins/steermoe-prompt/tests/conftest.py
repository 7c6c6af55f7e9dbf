"""The engine's fixtures: a whole experiment on tiny parts."""

from __future__ import annotations

from tests.conftest import decoder_folder, rig, rig_plugin, site

__all__ = ["decoder_folder", "rig", "rig_plugin", "site"]
