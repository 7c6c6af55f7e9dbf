"""Validation of a run, with the generation and metrics of the evaluation; the step of the adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_core.config.naming import some
from steermoe_core.data.examples import Examples
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.evaluate.metrics import metric_called
from steermoe_core.run.folder.records import Best, TrainingEnd
from steermoe_core.train import ranks
from steermoe_core.train.checkpoint import TRAINED, history, intact, latest, load_trained
from steermoe_core.train.epochs import steps_of
from steermoe_core.train.validation import Validation, exhausted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.progress import Progress
    from typing_extensions import Self

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.run.assembly.builder import Builder
    from steermoe_core.run.console import Console

#: The reason of a training that ended at its last step.
ALL_STEPS = "all steps were taken"


class Validator:
    """The validation data and the metrics of an experiment, both checked when it is created.

    :raises UsageError: there is no metric `train.validate.metric`.
    :raises DataError: the data is missing, or belongs to a test split.
    """

    def __init__(self, builder: Builder, console: Console) -> None:
        self.builder = builder
        self.console = console
        self.config = builder.experiment.train.validate
        self.metrics = builder.metrics()
        self.judge = metric_called(self.config.metric, self.metrics)
        self.examples = builder.validate_examples()

    @classmethod
    def of(cls, builder: Builder, console: Console) -> Self | None:
        """Return an experiment's validator; None if `train.validate.every` is 0."""
        if builder.experiment.train.validate.every:
            return cls(builder, console)
        if builder.experiment.data.validate is not None:
            console.note("[data.validate] is not used: train.validate.every is 0")
        return None

    def data(self, trained: Sequence[Example]) -> Sequence[Example]:
        """Return the validation data; warn if some of its clips are trained on with the same text."""
        texts = {example.text for example in self.examples}
        found = Examples.of(trained)
        alike = found.take(np.array([text in texts for text in found.values("text")], bool))
        seen = {(example.audio, example.text) for example in alike}
        if overlap := [one.id for one in self.examples if (one.audio, one.text) in seen]:
            count = f"{len(overlap)} of {len(self.examples)} validation clips"
            self.console.note(f"warning: {count} are trained on, too: {some(overlap)}")
        return self.examples

    def callback(self, model: Joined, progress: Progress) -> Validation:
        """Return the callback that scores the model in training."""
        return Validation(
            self.config,
            metric=self.judge.name,
            higher=self.judge.higher_is_better,
            measure=lambda step: self._measure(model, progress, step),
            report=self._report,
        )

    def stopped_at(self, checkpoint: Path | None) -> bool:
        """Return whether patience ended the training at a checkpoint."""
        if checkpoint is None:
            return False
        state = history(checkpoint)
        return exhausted(self.config, state["global_step"], state["best_global_step"])

    def finish(self, model: Joined, checkpoints: Path) -> TrainingEnd:
        """Load the tensors of the best step (`keep_best`) or of the last, and return the `ending`.

        :raises CheckpointError: the best checkpoint is missing or damaged.
        """
        last = latest(checkpoints)
        state = {} if last is None else history(last)
        best, step = state["best_global_step"], state["global_step"]
        chosen = best if self.config.keep_best and best is not None else step
        load_trained(model, intact(checkpoints / f"step-{chosen}") / TRAINED)
        record = ending(self.builder.experiment, step, adapter_step=chosen)
        if step < record.of:
            why = f"no better {self.judge.name} in {self.config.patience} validations"
            record = attrs.evolve(record, ended=why)
        if best is None:
            return record
        return attrs.evolve(record, best=Best(step=best, metric=self.judge.name, value=state["best_metric"]))

    def _measure(self, model: Joined, progress: Progress, step: int) -> dict[str, float | None]:
        experiment = self.builder.experiment
        device = next(model.parameters()).device
        task = progress.add_task(f"validating step {step}", total=len(self.examples), note="")
        evaluator = Evaluator(
            model=model,
            collator=self.builder.collator(model),
            config=attrs.evolve(experiment.evaluate, controls=[], probes=False),
            metrics=self.metrics,
            seed=experiment.experiment.seed,
            device=device,
            progressed=lambda clips: progress.advance(task, clips),
            workers=ranks.loading_processes(experiment.train.workers, device),
            half=experiment.train.precision == "bf16",
            **ranks.sharing(),
        )
        _, scores = evaluator.evaluate(self.examples)
        progress.remove_task(task)
        return {name: score.value for name, score in scores.metrics.items()}

    def _report(self, step: int, values: Mapping[str, float | None], best: bool) -> None:  # noqa: FBT001
        scores = ", ".join(
            f"{name} –" if value is None else f"{name} {value:.4f}" for name, value in values.items()
        )
        self.console.note(f"validation at step {step}: {scores}{', the best so far' if best else ''}")


def ending(experiment: Experiment, step: int, *, adapter_step: int) -> TrainingEnd:
    """Return how a training ended that took all its steps.

    :param step: its last step.
    :param adapter_step: the step of the adapter's tensors.
    """
    return TrainingEnd(
        steps=step, of=steps_of(experiment.train), ended=ALL_STEPS, adapter_step=adapter_step, best=None
    )
