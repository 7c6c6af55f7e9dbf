"""evaluations/<split>/scores.json: which there are in a run folder, and what they say; cheap to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.errors import UsageError
from steermoe_core.system.json_shapes import NUMBER, DamagedError, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.run.folder.run_folder import RunFolder

_SCORE = {
    "value": (None, *NUMBER),
    "interval": (None, {"low": NUMBER, "high": NUMBER}),
    "edits": {"*": int},
    "examples": int,
    "clusters": int,
    "details?": dict,
    "rule?": (None, dict),
}
#: scores.json, as far as somebody reads it.
_SCORES = {
    "examples": int,
    "left_out": {"*": [str]},
    "metrics": {"*": _SCORE},
    "controls": {"*": {"*": _SCORE}},
    "steering": [{"layer": (int, str), "load?": [NUMBER], "entropy?": NUMBER}],
    "audio_tokens_per_second?": (None, *NUMBER),
    "data?": {"sha256": str},
    "pathologies?": {"*": {"count": int, "share": NUMBER, "ids": [str]}},
    "probes?": [{"sound": str, "seconds": NUMBER, "hypothesis": str}],
    "length_ratio?": (None, {"*": NUMBER}),
}


def read_scores(path: Path) -> dict[str, Any]:
    """Return a scores.json.

    :raises UsageError: it is missing or damaged.
    """
    try:
        return dict(read_json(path, _SCORES))
    except FileNotFoundError:
        msg = f"{path} is missing; score the run again with `steermoe evaluate`"
        raise UsageError(msg) from None
    except DamagedError as error:
        way = "score the run again with `steermoe evaluate --again`"
        msg = f"{path} is damaged ({error}); {way}"
        raise UsageError(msg) from None


def scored_splits(folder: RunFolder) -> list[Path]:
    """Return the scores.json of each split that has been scored, by name; with a dot it is half written."""
    return sorted(folder.evaluations.glob("[!.]*/scores.json"))
