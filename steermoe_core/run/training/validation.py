"""Validation of a run in training: the evaluation's own generation and metrics, and what comes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.data.usable import some
from steermoe_core.errors import UsageError
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.run.folder.records import Best, TrainingEnd
from steermoe_core.suggest import did_you_mean
from steermoe_core.train import ranks
from steermoe_core.train.checkpoint import TRAINED, history, intact, latest, load_trained
from steermoe_core.train.validation import Validation, exhausted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.progress import Progress
    from typing_extensions import Self

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.model.joined import Joined
    from steermoe_core.run.assembly.builder import Builder
    from steermoe_core.run.console import Console

#: Why a training ended that took all its steps.
ALL_STEPS = "all steps were taken"


class Validator:
    """The validation data of an experiment with the metrics that judge it; both are checked at once.

    :raises UsageError: no metric is called as `train.validate.metric` says.
    :raises DataError: the data is not there, or belongs to a test part.
    """

    def __init__(self, builder: Builder, console: Console) -> None:
        self.builder = builder
        self.console = console
        self.config = builder.experiment.train.validate
        self.metrics = builder.metrics()
        self.judge = judge(self.metrics, self.config.metric)
        self.examples = builder.validate_examples()

    @classmethod
    def of(cls, builder: Builder, console: Console) -> Self | None:
        """Return an experiment's validator; None if it has no validations."""
        if builder.experiment.train.validate.every:
            return cls(builder, console)
        if builder.experiment.data.validate is not None:
            console.note("[data.validate] is not used: train.validate.every is 0")
        return None

    def beside(self, trained: Sequence[Example]) -> list[Example]:
        """Return the validation data, after telling which of its clips are trained on with the same text."""
        seen = {(example.audio, example.text) for example in trained}
        if known := [one.id for one in self.examples if (one.audio, one.text) in seen]:
            count = f"{len(known)} of {len(self.examples)} validation clips"
            self.console.note(f"warning: {count} are trained on, too: {some(known)}")
        return self.examples

    def callback(self, model: Joined, progress: Progress) -> Validation:
        """Return what scores the model in training."""
        return Validation(
            self.config,
            metric=self.judge.name,
            higher=self.judge.higher_is_better,
            measure=lambda step: self._measure(model, progress, step),
            tell=self._tell,
        )

    def over(self, checkpoint: Path | None) -> bool:
        """Tell whether training stopped for good at a checkpoint, so that there is nothing to go on with."""
        if checkpoint is None:
            return False
        state = history(checkpoint)
        return exhausted(self.config, state["global_step"], state["best_global_step"])

    def finish(self, model: Joined, checkpoints: Path) -> TrainingEnd:
        """Give the model the tensors that the experiment asks for, when training is over.

        :returns: how training ended.
        :raises CheckpointError: the best checkpoint is not there as it was written.
        """
        last = latest(checkpoints)
        state = {} if last is None else history(last)
        best, step = state["best_global_step"], state["global_step"]
        chosen = best if self.config.keep_best and best is not None else step
        load_trained(model, intact(checkpoints / f"step-{chosen}") / TRAINED)
        record = ending(self.builder.experiment, step, adapter_step=chosen)
        if step < self.builder.experiment.train.steps:
            why = f"no better {self.judge.name} in {self.config.patience} validations"
            record = attrs.evolve(record, ended=why)
        if best is None:
            return record
        return attrs.evolve(record, best=Best(step=best, metric=self.judge.name, value=state["best_metric"]))

    def _measure(self, model: Joined, progress: Progress, step: int) -> dict[str, float | None]:
        experiment = self.builder.experiment
        task = progress.add_task(f"validating step {step}", total=len(self.examples), note="")
        evaluator = Evaluator(
            model=model,
            collator=self.builder.collator(model),
            config=attrs.evolve(experiment.evaluate, controls=[], probes=False),
            metrics=self.metrics,
            seed=experiment.experiment.seed,
            device=next(model.parameters()).device,
            progressed=lambda clips: progress.advance(task, clips),
            **ranks.sharing(),
        )
        _, scores = evaluator.evaluate(self.examples)
        progress.remove_task(task)
        return {name: score.value for name, score in scores.metrics.items()}

    def _tell(self, step: int, values: Mapping[str, float | None], best: bool) -> None:  # noqa: FBT001
        scores = ", ".join(
            f"{name} –" if value is None else f"{name} {value:.4f}" for name, value in values.items()
        )
        self.console.note(f"validation at step {step}: {scores}{', the best so far' if best else ''}")


def judge(metrics: Sequence[Metric], name: str) -> Metric:
    """Return the metric of a name; the first for an empty one.

    :raises UsageError: there is none.
    """
    found = {metric.name: metric for metric in reversed(metrics)}
    if name in found:
        return found[name]
    if not metrics:
        msg = "train.validate needs a score: add a table [[metrics]]"
        raise UsageError(msg)
    if name:
        msg = (
            f'train.validate.metric is "{name}"{did_you_mean(name, found)} '
            f"(the metrics are {', '.join(metric.name for metric in metrics)})"
        )
        raise UsageError(msg)
    return metrics[0]


def ending(experiment: Experiment, step: int, *, adapter_step: int) -> TrainingEnd:
    """Return how a training ended that took all its steps.

    :param step: its last step.
    :param adapter_step: the step that the adapter's tensors are of.
    """
    return TrainingEnd(
        steps=step, of=experiment.train.steps, ended=ALL_STEPS, adapter_step=adapter_step, best=None
    )
