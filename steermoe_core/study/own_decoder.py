"""The scores of an encoder's own decoder, as a row beside those of trained runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.config.resolve import resolve
from steermoe_core.run.assembly.builder import metrics_of
from steermoe_core.run.folder.finished import scores_of
from steermoe_core.run.scoring.own_decoder import NAME, own_folder
from steermoe_core.study.seeds import Group
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.plugins import Registry


def own_group(run: Path, registry: Registry) -> Group:
    """Return the scores as those of a run that trained nothing."""
    resolved, folder = resolve(run / "experiment.toml", [], registry), own_folder(run)
    facts = {
        "run": str(folder.path),
        "experiment": NAME,
        "trainable_parameters": 0,
        "steps": 0,
        "splits": plain(scores_of(folder)),
    }
    seed = resolved.experiment.experiment.seed
    metrics = metrics_of(resolved.experiment, registry)
    return Group(resolved=resolved, seeds=[seed], facts=[facts], folders=[folder], metrics=metrics)
