"""Run an experiment: train, keep the adapter, score every split; or go on where an earlier start stopped."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.config.reads import Reads
from steermoe_core.config.resolve import model_toml
from steermoe_core.data.padded import Padded
from steermoe_core.errors import CheckpointError, PluginError
from steermoe_core.run import adapter, lock, mates
from steermoe_core.run.build import Builder, data_record
from steermoe_core.run.certify import certify
from steermoe_core.run.device import move, set_threads
from steermoe_core.run.evidence import evidence, keep
from steermoe_core.run.folder import RunFolder, now, write_json, write_text
from steermoe_core.run.frames import FrameStore
from steermoe_core.run.scoring import score
from steermoe_core.run.start import finished
from steermoe_core.run.validation import Validator, ending
from steermoe_core.run.watch import FrozenWatch, StatusWatch
from steermoe_core.train import ranks
from steermoe_core.train.callbacks import ProgressBar, StopOnSignal
from steermoe_core.train.checkpoint import all_checkpoints, latest
from steermoe_core.train.deepspeed import splits_weights
from steermoe_core.train.gradients import GradientWatch
from steermoe_core.train.journal import Journal
from steermoe_core.train.zero import trainer_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.progress import Progress

    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console
    from steermoe_core.train.callbacks import Callback
    from steermoe_core.train.trainer import SteeringTrainer


class Run:
    """One experiment in its folder.

    :param runs: the folder that holds the run folders.
    :param console: where progress and notes go.
    """

    def __init__(self, resolved: Resolved, registry: Registry, runs: Path, console: Console) -> None:
        self.reads = Reads()
        self.resolved = attrs.evolve(resolved, experiment=self.reads.watched(resolved.experiment))
        self.experiment = self.resolved.experiment
        self.registry = registry
        self.folder = RunFolder.of(self.resolved, runs)
        self.console = console

    @cached_property
    def builder(self) -> Builder:
        """What builds the parts; an adapter to start from is fetched here, once."""
        if self.folder.adapter.is_dir():
            return Builder(finished(self.experiment, self.folder.adapter, self.registry), self.registry)
        return Builder(self.experiment, self.registry)

    def execute(self) -> RunFolder:
        """Train and score what is not yet trained and scored.

        :raises KeyboardInterrupt: stopped on request; the folder can be resumed.
        """
        if not self.finished:
            with mates.held(self.experiment.train, self.folder), self.console.warnings():
                if not ranks.decided(lambda: self.finished):  # another run may have done it in between
                    self._execute()
        return self.folder

    def _execute(self) -> None:
        try:
            ranks.decided(self._begin)
            set_threads(self.experiment.train.threads)
            self._train_and_score()
            ranks.decided(self._certify)
        except BaseException as error:
            told = mates.understood(error)
            if mates.tells(self.folder, error):
                self._fail(told)
            if told is error:
                raise
            raise told from error
        ranks.decided(self._end)

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

    def _end(self) -> None:
        self.folder.set_status("finished", ended=now(), error=None)
        self.registry.fire("steermoe_after_run", folder=self.folder.path)

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
        trained = ranks.decided(self.folder.adapter.is_dir)
        splits = self.builder.eval_examples()  # a missing split is told before hours of training
        self.builder.metrics()  # and so is a package that one of them needs
        validator = None if trained else Validator.of(self.builder, self.console)
        with self.console.task("loading models"):
            model = self.builder.model()
            frozen = adapter.identity(model)
        if trained:
            adapter.load(self.folder.adapter, model, frozen)
            move(model, self.experiment.train.device)
        else:
            self._train(model, frozen, splits, validator)
            if splits_weights(self.experiment.train):
                model = self.builder.model()
                adapter.load(self.folder.adapter, model, frozen)
                move(model, self.experiment.train.device)
        unscored = ranks.decided(lambda: self._unscored(splits))
        identity = {**frozen, "adapter": adapter.checksum(self.folder.adapter)} if unscored else {}
        for name in unscored:
            folder = self.folder.evaluations / name
            score(self.builder, model, splits[name], folder, self.console, label=name, identity=identity)

    def _certify(self) -> None:
        self._keep_reads()
        certify(self.folder, self.registry, self.console)

    def _keep_reads(self) -> None:
        self.reads.names.update(evidence(self.folder).get("read", ()))  # of earlier starts
        keep(self.folder, read=sorted(self.reads.names))

    def _unscored(self, splits: Iterable[str]) -> list[str]:
        return [name for name in splits if not (self.folder.evaluations / name / "scores.json").is_file()]

    def _train(
        self,
        model: Joined,
        frozen: dict[str, str],
        splits: dict[str, list[Example]],
        validator: Validator | None,
    ) -> None:
        collator = self.builder.collator(model)
        if self.builder.start:
            adapter.load(self.builder.start, model, frozen)
        examples = self._examples(model, collator)
        validated = {"validate": validator.beside(examples)} if validator else {}
        ranks.decided(lambda: self._lock(frozen, {"train": examples, **validated, **splits}))
        if not self.experiment.train.steps:
            move(model, self.experiment.train.device)
            self._keep(model, frozen, None, 0)
            return
        journal = Journal(self.folder.metrics)
        stop = StopOnSignal()
        with self.console.progress() as progress:
            callbacks = [self.builder.part(selection) for selection in self.experiment.callbacks]
            if validator:
                callbacks.append(validator.callback(model, progress))
            trainer = trainer_class(self.experiment.train)(
                model=model,
                config=self.experiment.train,
                seed=self.experiment.experiment.seed,
                folder=self.folder.checkpoints,
                examples=examples,
                weights=self.experiment.data.weights,
                collate=collator,
                journal=journal,
                callbacks=[*callbacks, ProgressBar(progress), *self._watches(frozen, stop)],
            )
            if self.experiment.train.keep_frames:
                self._keep_frames(trainer, collator, frozen["encoder"], progress)
            with stop:
                resumed = ranks.decided(lambda: latest(self.folder.checkpoints))
                step = int(resumed.name.removeprefix("step-")) if resumed else 0
                ranks.decided(lambda: journal.rewind(step))
                if resumed is None and not self.builder.start:
                    prepare(model, collator, examples, trainer)
                elif resumed:
                    self.console.note(f"resuming from step {step}")
                if not (validator and validator.over(resumed)):
                    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
        if stop.stopped:
            self.console.note(
                f"stopped after step {trainer.state.global_step}; the same command goes on from there"
            )
            raise KeyboardInterrupt
        self._keep(model, frozen, validator, trainer.state.global_step)

    def _keep_frames(
        self, trainer: SteeringTrainer, collator: Any, fingerprint: str, progress: Progress
    ) -> None:
        """Let the trainer take the encoder's frames from disk; those that are missing are computed first."""
        model = trainer.joined
        if model.adapter.first_layer is not None:
            self.console.note("no frames are kept: the adapter changes the encoder")
            return
        move(model, self.experiment.train.device)
        store = FrameStore(model.encoder, self.experiment.encoder, fingerprint)
        wanted = trainer.wanted()
        task = progress.add_task("keeping frames", total=len(wanted), note="")
        trainer.examples = store.keep(
            trainer.examples, wanted, collator, lambda clips: progress.advance(task, clips)
        )

    def _watches(self, frozen: dict[str, str], stop: StopOnSignal) -> Iterator[Callback]:
        """Yield what watches the training itself: it stands behind what the experiment names."""
        if self.experiment.train.deepspeed is None:  # which has the gradients in buffers of its own
            yield GradientWatch(evidence(self.folder).get("gradients", {}), self._keeping("gradients"))
        yield FrozenWatch(frozen, self._keeping("frozen"))
        yield stop
        yield StatusWatch(self.folder)

    def _keeping(self, name: str) -> Callable[[dict[str, Any]], None]:
        """Return what keeps a fact as evidence; of several processes, rank 0 does."""
        return lambda fact: keep(self.folder, **{name: fact}) if ranks.first() else None

    def _keep(self, model: Joined, frozen: dict[str, str], validator: Validator | None, step: int) -> None:
        """Write the adapter, and how training ended."""
        if validator:
            training = validator.finish(model, self.folder.checkpoints)
        else:
            training = ending(self.experiment, step, adapter_step=step)
        ranks.decided(lambda: self._write_adapter(model, frozen, training))

    def _write_adapter(self, model: Joined, frozen: dict[str, str], training: dict[str, Any]) -> None:
        self.folder.set_status("running", training=training)
        self._keep_reads()
        toml = model_toml(self.builder.experiment, self.registry)
        adapter.save(self.folder.adapter, model, self.builder.experiment, toml, frozen, training)

    def _examples(self, model: Joined, collator: Any) -> list[Example]:
        with self.console.task("reading data"):
            examples, report = self.builder.train_examples(model.encoder.max_seconds)
            examples, answers = collator.fitting(examples)
        self.console.note(f"training data: {report}")
        if answers.kept < answers.total or answers.cut:
            self.console.note(f"training data: {answers}")
        return list(examples)

    def _lock(self, frozen: dict[str, str], sets: dict[str, list[Example]]) -> None:
        """Write lock.json, unless the checkpoints there belong to other weights or data."""
        data = {name: data_record(examples) for name, examples in sets.items()}
        seed = self.experiment.experiment.seed
        started = {"starting adapter": adapter.checksum(self.builder.start)} if self.builder.start else {}
        record = lock.describe(self.registry, seed=seed, fingerprints={**frozen, **started}, data=data)
        if all_checkpoints(self.folder.checkpoints):
            lock.check(self.folder.lock, record)
        write_json(self.folder.lock, record)


def prepare(model: Joined, collator: Any, examples: Sequence[Example], trainer: SteeringTrainer) -> None:
    """Let the projector look at the training data before the first step."""

    def pairs() -> Iterator[tuple[Padded, Padded]]:
        # The same everywhere, whoever trains on them; a short run has fewer.
        first = islice(trainer.batches(0, 1), model.projector.begin_batches)
        with torch.no_grad():
            for batch in (batch.to(trainer.args.device) for batch in first):
                spoken = Padded(batch.answer.values, batch.answer.lengths - 1)
                yield model.frames(batch.features), spoken

    model.projector.begin((collator.answer(example)[:-1] for example in examples), pairs())
