"""Run an experiment: train, keep the adapter, score every split; or go on where an earlier start stopped."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.data.padded import Padded
from steermoe_core.errors import CheckpointError, PluginError
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.run import adapter, lock
from steermoe_core.run.build import Builder, data_record
from steermoe_core.run.folder import RunFolder, now, whole_folder, write_json, write_text
from steermoe_core.run.watch import FrozenWatch, StatusWatch
from steermoe_core.train.callbacks import ProgressBar, StopOnSignal
from steermoe_core.train.checkpoint import all_checkpoints, latest
from steermoe_core.train.journal import Journal
from steermoe_core.train.trainer import SteeringTrainer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.evaluation import Prediction
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console


class Run:
    """One experiment in its folder.

    :param runs: the folder that holds the run folders.
    :param console: where progress and notes go.
    """

    def __init__(self, resolved: Resolved, registry: Registry, runs: Path, console: Console) -> None:
        self.resolved = resolved
        self.experiment = resolved.experiment
        self.registry = registry
        self.folder = RunFolder.of(resolved, runs)
        self.console = console
        self.builder = Builder(self.experiment, registry)

    def execute(self) -> RunFolder:
        """Train and score what is not yet trained and scored.

        :raises KeyboardInterrupt: stopped on request; the folder can be resumed.
        """
        if not self.finished:
            with self.folder.held(), self.console.warnings():
                if not self.finished:  # another process may have done it in between
                    self._execute()
        return self.folder

    def _execute(self) -> None:
        try:
            self._begin()
            self._train_and_score()
        except BaseException as error:
            self._fail(error)
            raise
        self.folder.set_status("finished", ended=now(), error=None)
        self.registry.fire("steermoe_after_run", folder=self.folder.path)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.folder.status.get("state") == "finished"

    def _begin(self) -> None:
        write_text(self.folder.experiment, self.resolved.to_toml())
        status = self.folder.status
        begun = {"step": status.get("step", 0), "started": status.get("started", now())}
        self.folder.set_status("running", **begun, ended=None, error=None)
        self.registry.fire("steermoe_before_run", folder=self.folder.path)
        set_threads(self.experiment.train.threads)

    def _fail(self, error: BaseException) -> None:
        """Tell status.json and the plugins; what goes wrong with that does not hide the error itself."""
        stopped = isinstance(error, KeyboardInterrupt)
        state, reason = ("interrupted", None) if stopped else ("failed", str(error) or type(error).__name__)
        try:
            self.folder.set_status(state, ended=now(), error=reason)
        except CheckpointError as second:
            self.console.note(f"warning: {second}")
        try:
            self.registry.fire("steermoe_run_failed", folder=self.folder.path, error=error)
        except PluginError as second:
            self.console.note(f"warning: {second}")

    def _train_and_score(self) -> None:
        splits = self.builder.eval_examples()  # a missing split is told before hours of training
        with self.console.task("loading models"):
            model = self.builder.model()
            frozen = adapter.identity(model)
        if self.folder.adapter.is_dir():
            adapter.load(self.folder.adapter, model, frozen)
            move(model, self.experiment.train.device)
        else:
            self._train(model, frozen, splits)
        for name, examples in splits.items():
            if not (self.folder.evaluations / name / "scores.json").is_file():
                score(self.builder, model, examples, self.folder.evaluations / name, self.console, label=name)

    def _train(self, model: Joined, frozen: dict[str, str], splits: dict[str, list[Example]]) -> None:
        collator = self.builder.collator(model)
        examples = self._examples(model, collator)
        self._lock(frozen, {"train": examples, **splits})
        journal = Journal(self.folder.metrics)
        stop = StopOnSignal()
        with stop, self.console.progress() as progress:
            callbacks = [self.builder.part(selection) for selection in self.experiment.callbacks]
            trainer = SteeringTrainer(
                model=model,
                config=self.experiment.train,
                seed=self.experiment.experiment.seed,
                folder=self.folder.checkpoints,
                examples=examples,
                collate=collator,
                journal=journal,
                callbacks=[
                    *callbacks,
                    ProgressBar(progress),
                    stop,
                    FrozenWatch(frozen),
                    StatusWatch(self.folder),
                ],
            )
            resumed = latest(self.folder.checkpoints)
            step = int(resumed.name.removeprefix("step-")) if resumed else 0
            journal.rewind(step)
            if resumed is None:
                prepare(model, collator, examples, trainer)
            else:
                self.console.note(f"resuming from step {step}")
            trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
        if stop.stopped:
            self.console.note(
                f"stopped after step {trainer.state.global_step}; the same command goes on from there"
            )
            raise KeyboardInterrupt
        toml = self.resolved.to_toml()
        adapter.save(self.folder.adapter, model, self.experiment, toml, frozen, trainer.state.global_step)

    def _examples(self, model: Joined, collator: Any) -> list[Example]:
        with self.console.task("reading data"):
            examples, report = self.builder.train_examples(model.encoder.max_seconds)
            examples, answers = collator.fitting(examples)
        self.console.note(f"training data: {report}")
        if any(answers.left_out.values()):
            self.console.note(f"training data: {answers}")
        return list(examples)

    def _lock(self, frozen: dict[str, str], sets: dict[str, list[Example]]) -> None:
        """Write lock.json, unless the checkpoints there belong to other weights or data."""
        data = {name: data_record(examples) for name, examples in sets.items()}
        seed = self.experiment.experiment.seed
        record = lock.describe(self.registry, seed=seed, fingerprints=frozen, data=data)
        if all_checkpoints(self.folder.checkpoints):
            lock.check(self.folder.lock, record)
        write_json(self.folder.lock, record)


def prepare(model: Joined, collator: Any, examples: Sequence[Example], trainer: SteeringTrainer) -> None:
    """Let the projector look at the training data before the first step."""

    def pairs() -> Iterator[tuple[Padded, Padded]]:
        first = islice(trainer.get_train_dataloader(), model.projector.begin_batches)  # a short run has fewer
        with torch.no_grad():
            for batch in (batch.to(trainer.args.device) for batch in first):
                spoken = Padded(batch.answer.values, batch.answer.lengths - 1)
                yield model.frames(batch.features), spoken

    model.projector.begin((collator.answer(example)[:-1] for example in examples), pairs())


def score(
    builder: Builder, model: Joined, examples: list[Example], folder: Path, console: Console, *, label: str
) -> dict[str, Any]:
    """Score a split into its folder and return scores.json; the folder appears when it is complete."""
    experiment = builder.experiment
    total = len(examples) * (1 + len(experiment.evaluate.controls))
    metrics = [builder.part(selection) for selection in experiment.metrics]
    with console.progress() as progress:
        task = progress.add_task(f"scoring {label}", total=total, note="")
        evaluator = Evaluator(
            model=model,
            collator=builder.collator(model),
            config=experiment.evaluate,
            metrics=metrics,
            seed=experiment.experiment.seed,
            device=next(model.parameters()).device,
            progressed=lambda clips: progress.advance(task, clips),
        )
        predictions, scores = evaluator.evaluate(examples)
        progress.update(task, completed=total)  # with the clips that were left out
    with whole_folder(folder) as partial:
        for control, rows in predictions.items():
            _write_rows(partial / (f"predictions.{control}.jsonl" if control else "predictions.jsonl"), rows)
        write_json(partial / "scores.json", {"split": label, "data": data_record(examples), **scores})
    return scores


def move(model: Joined, device: str) -> Joined:
    """Put the model where the experiment wants it."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(found if device == "auto" else device)


def set_threads(threads: int) -> None:
    """Use so many CPU threads; 0 leaves torch's choice, one a core."""
    if threads:
        torch.set_num_threads(threads)


def _write_rows(path: Path, rows: Sequence[Prediction]) -> None:
    lines = (json.dumps(attrs.asdict(row), ensure_ascii=False) for row in rows)
    write_text(path, "".join(f"{line}\n" for line in lines))
