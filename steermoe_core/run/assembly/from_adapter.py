"""Experiments that start from a trained adapter: its tables take the places of `adapter` and [projector]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.component import Trained
from steermoe_core.config.check.capabilities import mismatches
from steermoe_core.config.groups import group_faults, groups_of, with_groups
from steermoe_core.config.resolve import resolve_model
from steermoe_core.errors import UsageError
from steermoe_core.run.folder.hub import adapter_folder

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.config.experiment import Experiment, TrainConfig
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry


def started(experiment: Experiment, registry: Registry) -> tuple[Experiment, Path | None]:
    """Return an experiment whose adapter is a table, and the adapter folder that it starts from, if any.

    :raises UsageError: there is no adapter at that place, it was trained with another projector, or it does
        not go together with another part.
    :raises SetupError: the hub did not give it.
    """
    source = experiment.started_from
    if source is None:
        return experiment, None
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
    return attrs.evolve(whole, train=_rated(whole, registry)), folder


def _rated(experiment: Experiment, registry: Registry) -> TrainConfig:
    """Return [train] with a learning rate for each group of the starting adapter and its projector.

    :raises UsageError: a table of it names a group that they do not train.
    """
    groups = groups_of(experiment.projector, experiment.adapter, registry)
    for fault in group_faults(attrs.asdict(experiment.train), groups, registry, _below):
        msg = f"{'.'.join(map(str, fault.path))}: {fault.message}; {fault.hint}"
        raise UsageError(msg)
    return with_groups(experiment.train, groups, registry, _below)


def _below(path: KeyPath, table: str) -> bool:  # noqa: ARG001 - a file that is extended may set any rate
    return True


def finished(experiment: Experiment, folder: Path, registry: Registry) -> Experiment:
    """Return an experiment with the adapter and projector tables of the folder that its run left."""
    trained = resolve_model(folder / "experiment.toml", registry)
    return attrs.evolve(experiment, adapter=trained.adapter, projector=trained.projector)
