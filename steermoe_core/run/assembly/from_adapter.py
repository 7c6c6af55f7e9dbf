"""Experiments that start from a trained adapter: its tables take the places of `adapter` and [projector]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.component import Trained
from steermoe_core.config.check.capabilities import mismatches
from steermoe_core.config.resolve import resolve_model
from steermoe_core.errors import UsageError
from steermoe_core.run.folder.hub import adapter_folder

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.plugins import Registry


def started(experiment: Experiment, registry: Registry) -> tuple[Experiment, Path | None]:
    """Return an experiment whose adapter is a table, and the adapter folder that it starts from, if any.

    :raises UsageError: there is no adapter at that place, it was trained with another projector, or it does
        not go together with another part.
    :raises SetupError: the hub did not give it.
    """
    if not isinstance(experiment.adapter.config, Trained):
        return experiment, None
    source = experiment.adapter.config.source
    folder = adapter_folder(source, registry)
    trained, chosen = resolve_model(folder / "experiment.toml", registry), experiment.projector
    if not isinstance(chosen.config, Trained) and chosen.name != trained.projector.name:
        msg = (
            f"{source} was trained with projector {trained.projector.name}, and the experiment has "
            f"{chosen.name}; leave the table [projector] out, or choose {trained.projector.name}"
        )
        raise UsageError(msg)
    projector = trained.projector if isinstance(chosen.config, Trained) else chosen
    whole = attrs.evolve(experiment, adapter=trained.adapter, projector=projector)
    for fault in mismatches(whole, registry):
        msg = f"{source}: {fault.message}; {fault.hint}"
        raise UsageError(msg)
    return whole, folder


def finished(experiment: Experiment, folder: Path, registry: Registry) -> Experiment:
    """Return an experiment with the adapter and projector tables of the folder that its run left."""
    trained = resolve_model(folder / "experiment.toml", registry)
    return attrs.evolve(experiment, adapter=trained.adapter, projector=trained.projector)
