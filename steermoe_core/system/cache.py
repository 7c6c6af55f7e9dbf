"""Where things are kept that can be computed again."""

from __future__ import annotations

import os
from pathlib import Path

from steermoe_core.errors import SetupError


def cache_folder() -> Path:
    """Return `$STEERMOE_CACHE`, or `steermoe` in the user's cache folder; it may not exist yet.

    :raises SetupError: it starts at the home folder of a user who does not exist.
    """
    named = os.environ.get("STEERMOE_CACHE")
    folder = named or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "steermoe")  # noqa: PTH118
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        msg = (
            f"the cache folder {folder} starts at no home folder; set STEERMOE_CACHE to a folder that exists"
        )
        raise SetupError(msg) from None
