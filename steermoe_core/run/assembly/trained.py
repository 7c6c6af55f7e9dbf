"""The model of a run that was trained before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.errors import UsageError
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.assembly.device import move, set_threads
from steermoe_core.run.assembly.from_adapter import finished
from steermoe_core.run.folder import adapter
from steermoe_core.run.folder.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry


def trained_folder(path: Path) -> RunFolder:
    """Return the folder of a run that has its adapter.

    :raises UsageError: there is no such run, or it has no adapter yet.
    """
    folder = RunFolder.existing(path)
    if not folder.adapter.is_dir():
        msg = f"{folder.path} has no trained adapter yet; finish it with `steermoe run {folder.experiment}`"
        raise UsageError(msg)
    return folder


def check_splits(splits: Sequence[str], known: Sequence[str], folder: RunFolder) -> None:
    """Make sure that a run has the splits that were asked for.

    :raises UsageError: it does not have one of them.
    """
    if unknown := [name for name in splits if name not in known]:
        msg = f"{folder.path} has no split {unknown[0]!r}; its splits are {', '.join(known) or 'none'}"
        raise UsageError(msg)


def trained_builder(folder: RunFolder, experiment: Experiment, registry: Registry) -> Builder:
    """Return what builds the parts that a run ended with, on as many threads as it had."""
    set_threads(experiment.train.threads)
    return Builder(finished(experiment, folder.adapter, registry), registry)


def trained_model(folder: RunFolder, builder: Builder) -> Joined:
    """Return a run's model with its adapter, where its experiment wants it."""
    model = builder.model()
    adapter.load(folder.adapter, model, adapter.identity(model))
    return move(model, builder.experiment.train.device)
