"""Where things are kept that can be computed again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return `$STEERMOE_CACHE`, or `steermoe` in the user's cache folder; it may not exist yet."""
    named = os.environ.get("STEERMOE_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "steermoe"
