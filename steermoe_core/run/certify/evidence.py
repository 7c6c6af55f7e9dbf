"""evidence.json: what only training itself can see, kept for the certificates.

gradients   `GradientWatch.record`
frozen      `adapter.identity` of the model after its last step
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.run.folder.run_folder import write_json
from steermoe_core.system.json_shapes import NUMBER, DamagedError, read_json

if TYPE_CHECKING:
    from steermoe_core.run.folder.run_folder import RunFolder

_SHAPE = {
    "read?": [str],
    "gradients?": {"norms?": {"*": (None, *NUMBER)}, "later?": {"*": int}, "zeros?": [str]},
    "frozen?": {"*": str},
}


def evidence(folder: RunFolder) -> dict[str, Any]:
    """Return what was kept; nothing of a run that is older than this file, or whose file is damaged."""
    try:
        return dict(read_json(folder.evidence, _SHAPE))
    except (FileNotFoundError, DamagedError):
        return {}


def keep(folder: RunFolder, **facts: Any) -> None:
    """Keep facts beside those that are there."""
    write_json(folder.evidence, {**evidence(folder), **facts})
