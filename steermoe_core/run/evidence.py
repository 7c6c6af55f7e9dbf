"""evidence.json: what only training itself can see, kept for the certificates.

gradients   `GradientWatch.record`
frozen      `adapter.identity` of the model after its last step
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from steermoe_core.run.folder import write_json

if TYPE_CHECKING:
    from steermoe_core.run.folder import RunFolder


def evidence(folder: RunFolder) -> dict[str, Any]:
    """Return what was kept; nothing of a run that is older than this file."""
    try:
        return dict(json.loads(folder.evidence.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return {}


def keep(folder: RunFolder, **facts: Any) -> None:
    """Keep facts beside those that are there."""
    write_json(folder.evidence, {**evidence(folder), **facts})
