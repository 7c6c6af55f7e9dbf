"""What a finished run says of itself: its scores by split, what it trained, how its training ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.run.certify.certificate import read_certificates
from steermoe_core.run.folder.adapter import read_card
from steermoe_core.run.folder.scores import read_scores, scored_splits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.run.folder.run_folder import RunFolder


def results(folder: RunFolder) -> dict[str, Any]:
    """Return a run's scores by split, with what it trained."""
    card = read_card(folder.adapter)
    return {
        "run": str(folder.path),
        "experiment": card["experiment"],
        "trainable_parameters": card["trainable_parameters"],
        "steps": card["step"],
        "training": card.get("training"),  # earlier versions did not write it
        "certificates": read_certificates(folder),
        "splits": scores_of(folder),
    }


def scores_of(folder: RunFolder) -> dict[str, Any]:
    """Return what scores.json says of each split that has been scored."""
    return {path.parent.name: read_scores(path) for path in scored_splits(folder)}


def ended(training: dict[str, Any] | None) -> Iterator[str]:
    """Yield a sentence on how a training ended, if its adapter is not that of the last step it was to take.

    :param training: what `validation.ending` returns.
    """
    if training is None or training["adapter_step"] >= training["of"]:
        return
    steps = f"training ended at step {training['steps']} of {training['of']}: {training['ended']}"
    chosen, best = f"the adapter is that of step {training['adapter_step']}", training["best"]
    if best and best["step"] == training["adapter_step"]:
        chosen += f" ({best['metric']} {best['value']:.4f} on the validation data)"
    yield f"{steps}; {chosen}"
