"""Score the splits of a trained run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.assembly.trained import check_splits, trained_builder, trained_folder, trained_model
from steermoe_core.run.folder import adapter
from steermoe_core.run.scoring.split import score

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.run_folder import RunFolder


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
    folder = trained_folder(path)
    resolved = resolve(folder.experiment, [], registry)
    experiment = resolved.experiment
    check_splits(splits or [], list(experiment.data.eval), folder)
    experiment = attrs.evolve(experiment, evaluate=experiment.evaluate.together(batch_size))
    wanted = splits or list(experiment.data.eval)
    missing = [name for name in wanted if again or not (folder.evaluations / name / "scores.json").is_file()]
    if not missing:
        console.note(f"{folder.path} has these scores already; --again scores them again")
        return folder
    with placed(experiment, resolved.path, resolved.origins), folder.held(), console.warnings():
        builder = trained_builder(folder, experiment, registry)
        model = trained_model(folder, builder)
        identity = {**adapter.identity(model), "adapter": adapter.checksum(folder.adapter)}
        examples = builder.eval_examples()
        for name in missing:
            place = folder.evaluations / name
            score(builder, model, examples[name], place, console, label=name, identity=identity)
    return folder
