"""Whole runs on tiny parts, as the engine's own tests have them, and a cache for each test."""

from __future__ import annotations

from tests.conftest import decoder_folder, own_cache, rig, rig_plugin, site

__all__ = ["decoder_folder", "own_cache", "rig", "rig_plugin", "site"]
