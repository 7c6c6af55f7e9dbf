"""Score a split into its folder; an evaluation that was killed resumes with the batch that it was at."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import attrs
import torch

from steermoe_core.config.resolve import model_toml
from steermoe_core.evaluate.answered import Answered
from steermoe_core.evaluate.evaluation import PARTS, Evaluator
from steermoe_core.evaluate.pathologies import instructions
from steermoe_core.evaluate.prediction import file_name
from steermoe_core.evaluate.probes import PROBES
from steermoe_core.run.assembly.builder import data_record
from steermoe_core.run.folder.run_folder import whole_folder, write_json, write_text
from steermoe_core.system.records import plain
from steermoe_core.train import ranks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import DataRecord, Scores
    from steermoe_core.model.joined import Joined
    from steermoe_core.run.assembly.builder import Builder
    from steermoe_core.run.console import Console


def score(
    builder: Builder,
    model: Joined,
    examples: Sequence[Example],
    folder: Path,
    console: Console,
    *,
    label: str,
    identity: Mapping[str, str],
) -> None:
    """Score a split into its folder, which appears when it is complete.

    :param identity: SHA-256 of the adapter and of each frozen part: answers that an evaluation left when it
        was killed are used if they are this model's, on the same data and settings.
    """
    experiment = builder.experiment
    total = len(examples) * (1 + len(experiment.evaluate.controls)) + len(PROBES) * experiment.evaluate.probes
    data = data_record(examples)
    kept = folder.with_name(f".{folder.name}.answers")
    device = next(model.parameters()).device
    answered = Answered(kept, _key(builder, examples, data, device.type, identity), ranks.rank())
    if answered.batches:
        console.note(f"scoring {label}: {len(answered.batches)} batches were answered before it was stopped")
    with console.progress() as progress:
        task = progress.add_task(f"scoring {label}", total=total, note="")
        evaluator = Evaluator(
            model=model,
            collator=builder.collator(model),
            config=experiment.evaluate,
            metrics=builder.metrics(),
            seed=experiment.experiment.seed,
            device=device,
            instructions=instructions(experiment.collator.config),
            answered=answered,
            progressed=lambda clips: progress.advance(task, clips),
            workers=ranks.loading_processes(experiment.train.workers, device),
            half=experiment.train.precision == "bf16",
            **ranks.sharing(),
        )
        predictions, scores = evaluator.evaluate(examples)
        progress.update(task, completed=total)  # with the clips that were left out
    if ranks.first():
        write_scores(folder, predictions, attrs.evolve(scores, split=label, data=data))
        answered.forget()


def write_scores(folder: Path, predictions: Mapping[str, Sequence[Prediction]], scores: Scores) -> None:
    """Write a split's folder; it appears when it is complete.

    :param predictions: of each control, by its name; the model's own under an empty one.
    """
    with whole_folder(folder) as partial:
        for control, rows in predictions.items():
            write_text(partial / file_name(control), "".join(row.line() for row in rows))
        write_json(partial / "scores.json", scores)


def _key(
    builder: Builder,
    examples: Sequence[Example],
    data: DataRecord,
    device: str,
    identity: Mapping[str, str],
) -> str:
    """Return a hash of all that answers and their batches depend on: model, prompts, clips, arithmetic."""
    known = {
        "model": dict(identity),
        "settings": model_toml(builder.experiment, builder.registry),
        "batches": [PARTS, builder.experiment.evaluate.tokens],
        "data": plain(data),
        "clips": [repr(example) for example in examples],
        "arithmetic": f"torch {torch.__version__} on {device}, {builder.experiment.train.precision}",
    }
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
