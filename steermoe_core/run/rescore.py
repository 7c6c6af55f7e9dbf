"""Score a run that was trained before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.errors import UsageError
from steermoe_core.run import adapter
from steermoe_core.run.build import Builder
from steermoe_core.run.device import move, set_threads
from steermoe_core.run.execute import score
from steermoe_core.run.folder import RunFolder
from steermoe_core.run.parts import placed
from steermoe_core.run.start import finished

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console


def evaluate_run(
    path: Path,
    registry: Registry,
    console: Console,
    *,
    splits: Sequence[str] | None,
    batch_size: int | None,
    again: bool,
) -> RunFolder:
    """Score the chosen splits of a trained run that have no scores yet, or all of them again.

    :raises UsageError: there is no such run, it has no adapter yet, or no such split.
    """
    folder = RunFolder.existing(path)
    resolved = resolve(folder.experiment, [], registry)
    experiment = resolved.experiment
    wanted = _wanted(splits, list(experiment.data.eval), folder)
    if batch_size:
        evaluate = attrs.evolve(experiment.evaluate, batch_size=batch_size)
        experiment = attrs.evolve(experiment, evaluate=evaluate)
    missing = [name for name in wanted if again or not (folder.evaluations / name / "scores.json").is_file()]
    if not missing:
        console.note(f"{folder.path} has these scores already; --again scores them anew")
        return folder
    with placed(experiment, resolved.path, resolved.origins), folder.held(), console.warnings():
        set_threads(experiment.train.threads)
        builder = Builder(finished(experiment, folder.adapter, registry), registry)
        model = builder.model()
        adapter.load(folder.adapter, model, adapter.identity(model))
        move(model, experiment.train.device)
        examples = builder.eval_examples()
        for name in missing:
            score(builder, model, examples[name], folder.evaluations / name, console, label=name)
    return folder


def _wanted(splits: Sequence[str] | None, known: list[str], folder: RunFolder) -> list[str]:
    if not folder.adapter.is_dir():
        msg = f"{folder.path} has no trained adapter yet; finish it with `steermoe run {folder.experiment}`"
        raise UsageError(msg)
    if unknown := [name for name in splits or [] if name not in known]:
        msg = f"{folder.path} has no split {unknown[0]!r}; its splits are {', '.join(known) or 'none'}"
        raise UsageError(msg)
    return list(splits or known)
