"""The training of a run: examples, trainer, resume, adapter."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.config.resolve import model_toml
from steermoe_core.data.padded import Padded
from steermoe_core.errors import CheckpointError, UsageError
from steermoe_core.run.assembly.builder import data_record
from steermoe_core.run.assembly.device import move
from steermoe_core.run.folder import adapter, lock
from steermoe_core.run.folder.records import Lock
from steermoe_core.run.folder.run_folder import write_json
from steermoe_core.run.training.budget import largest_budget
from steermoe_core.run.training.frames import FrameStore
from steermoe_core.run.training.processes import peer_lost
from steermoe_core.run.training.validation import ending
from steermoe_core.run.training.watch import FrozenWatch, StatusWatch
from steermoe_core.train import ranks
from steermoe_core.train.callbacks import ProgressBar, StopOnSignal
from steermoe_core.train.checkpoint import UnfitError, all_checkpoints, latest, step_of
from steermoe_core.train.epochs import counted, steps_of
from steermoe_core.train.gradients import GradientWatch
from steermoe_core.train.journal import Journal
from steermoe_core.train.zero import trainer_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.progress import Progress

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.model.adapter import Adapter
    from steermoe_core.model.joined import Joined
    from steermoe_core.model.projectors import Projector
    from steermoe_core.run.assembly.builder import Builder
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.records import TrainingEnd
    from steermoe_core.run.folder.run_folder import RunFolder
    from steermoe_core.run.training.validation import Validator
    from steermoe_core.train.callbacks import Callback
    from steermoe_core.train.trainer import SteeringTrainer


@attrs.define(eq=False, kw_only=True, slots=False)
class Training:
    """Trains a model, from the newest checkpoint in the run's folder if there is one, and writes its adapter.

    :param frozen: SHA-256 of the model's frozen parts.
    :param splits: the splits scored afterwards; lock.json records them with the training data.
    :param callbacks: of the experiment.
    :param counted: called in rank 0 with the number of steps, before the first one.
    """

    builder: Builder
    model: Joined
    frozen: dict[str, str]
    splits: Mapping[str, Sequence[Example]]
    callbacks: Sequence[Callback]
    validator: Validator | None
    folder: RunFolder
    console: Console
    counted: Callable[[int], None]

    def run(self) -> None:
        """Take the remaining steps, and write the adapter.

        :raises KeyboardInterrupt: stopped on request, after a checkpoint.
        :raises CheckpointError: the checkpoints in the folder belong to other weights or data.
        """
        if self.builder.start:
            self._load_start(self.builder.start)
        examples = self._examples()
        costs = self.builder.costs(self.model, self.collator, examples)
        found = None
        if self.config.steps != 0:
            found = self._find_budget(examples, costs)
            epochs = self.builder.epochs(examples, costs, ranks.world())
            self.builder.set_train(counted(self.config, epochs, len(examples), ranks.world()))
        self._check_phases()
        validated = {"validate": self.validator.data(examples)} if self.validator else {}
        ranks.on_rank0(lambda: self._lock({"train": examples, **validated, **self.splits}, found))
        ranks.on_rank0(lambda: self.counted(steps_of(self.config)))
        if self.config.steps:
            self._finish(self._train(examples, costs))
        else:
            self._extend([])
            move(self.model, self.config.device)
            self._write_adapter(ending(self.builder.experiment, 0, adapter_step=0))

    def _load_start(self, start: Path) -> None:
        """Read the adapter that the run starts from.

        :raises CheckpointError: it does not fit, or belongs to other frozen parts.
        """
        try:
            adapter.load(start, self.model, self.frozen)
        except UnfitError as error:
            msg = (
                f"{error}; an adapter to start from keeps its shapes: leave the table [projector] out, or "
                "give it the settings that the adapter was trained with"
            )
            raise CheckpointError(msg) from None

    def _check_phases(self) -> None:
        """Refuse adapters on the decoder that no step would train.

        :raises UsageError: the projector's own loss alone is trained on in every step.
        """
        start, steps = self.model.projector.start_steps, steps_of(self.config)
        if self.model.decoder_adapter is not None and 0 < steps <= start:
            msg = (
                "no step would train the adapter on the decoder: start_steps of the projector is "
                f"{start}, so all {steps} steps leave the language model out; set it below {steps}"
            )
            raise UsageError(msg)

    @property
    def config(self) -> TrainConfig:
        """The experiment's table [train]."""
        return self.builder.experiment.train

    @cached_property
    def collator(self) -> Collator:
        """Makes the batches."""
        collator: Collator = self.builder.collator(self.model)
        return collator

    def _examples(self) -> Sequence[Example]:
        with self.console.task("reading data"):
            examples, report = self.builder.train_examples(self.model.encoder.max_seconds)
            examples, answers = self.builder.fitting(self.collator, examples)
        self.console.note(f"training data: {report}")
        if answers.kept < answers.total or answers.cut:
            self.console.note(f"training data: {answers}")
        return examples

    def _find_budget(self, examples: Sequence[Example], costs: Sequence[float]) -> float | None:
        """Replace a budget of `auto` by the one that the run began with, or by the largest that fits.

        :returns: the budget; None if the experiment has another or none.
        """
        key, value = self.config.budget or ("", None)
        if value != "auto":
            return None
        found = ranks.on_rank0(self._known_budget)
        if found is None:
            with self.console.task(f"finding {key}"):
                found = largest_budget(
                    move(self.model, self.config.device),
                    self.config,
                    self.builder.training_collate(self.collator, self.model),
                    examples,
                    costs,
                    map(self.collator.reference, examples),
                    started=self.builder.start is not None,
                )
        self.console.note(f"{key}: auto is {found:g}")
        if key == "batch_tokens":
            self.builder.set_train(attrs.evolve(self.config, batch_tokens=int(found)))
        else:
            self.builder.set_train(attrs.evolve(self.config, batch_seconds=found))
        return found

    def _known_budget(self) -> float | None:
        """Return the budget in lock.json of a run that has begun.

        :raises CheckpointError: it is lost, and the batches of the checkpoints with it.
        """
        begun = Lock.find(self.folder.lock)
        known = None if begun is None else begun.batch_budget
        if known is None and all_checkpoints(self.folder.checkpoints):
            msg = (
                f"{self.folder.path} cannot resume: {self.folder.lock.name} has no batch_budget, which says "
                "what batches the run began with; restore that file, or delete the folder to train from the "
                "start"
            )
            raise CheckpointError(msg)
        return known

    def _lock(self, sets: Mapping[str, Sequence[Example]], batch_budget: float | None) -> None:
        """Write lock.json.

        :raises CheckpointError: the checkpoints in the folder belong to other weights or data.
        """
        start = self.builder.start
        started_from = {lock.STARTING_ADAPTER: adapter.checksum(start)} if start else {}
        record = lock.describe(
            self.builder.registry,
            processes=ranks.world(),
            seed=self.builder.experiment.experiment.seed,
            frozen={**self.frozen, **started_from},
            data={name: data_record(examples) for name, examples in sets.items()},
            batch_budget=batch_budget,
        )
        if all_checkpoints(self.folder.checkpoints):
            lock.check(self.folder.lock, record)
        write_json(self.folder.lock, record)

    def _train(self, examples: Sequence[Example], costs: Sequence[float]) -> int:
        """Train, and return the last step taken."""
        stop = StopOnSignal()
        with self.console.progress() as progress:
            trainer = self._trainer(examples, costs, stop, progress)
            if self.config.keep_frames:
                self._keep_frames(trainer, progress)
            try:
                with stop:
                    self._take_steps(trainer)
            except RuntimeError as error:
                if stop.stopped and peer_lost(error):  # another process got the signal too, and ended at once
                    raise KeyboardInterrupt from error
                raise
        step = int(trainer.state.global_step)
        if stop.stopped:
            self.console.note(f"stopped after step {step}; the same command resumes from there")
            raise KeyboardInterrupt
        return step

    def _trainer(
        self, examples: Sequence[Example], costs: Sequence[float], stop: StopOnSignal, progress: Progress
    ) -> SteeringTrainer:
        callbacks = list(self.callbacks)
        if self.validator:
            callbacks.append(self.validator.callback(self.model, progress))
        return trainer_class(self.config)(
            model=self.model,
            config=self.config,
            seed=self.builder.experiment.experiment.seed,
            folder=self.folder.checkpoints,
            examples=examples,
            weights=self.builder.experiment.data.weights,
            costs=costs,
            collate=self.builder.training_collate(self.collator, self.model),
            journal=Journal(self.folder.metrics),
            callbacks=[*callbacks, ProgressBar(progress), *self._watches(stop)],
        )

    def _watches(self, stop: StopOnSignal) -> Iterator[Callback]:
        """Yield the watches of every run; they come after the callbacks of the experiment."""
        if self.config.deepspeed is None:  # DeepSpeed keeps gradients in its own buffers
            yield GradientWatch(self.folder.read_evidence().gradients, self._keeping("gradients"))
        yield FrozenWatch(self.frozen, self._keeping("frozen"))
        yield stop
        yield StatusWatch(self.folder)

    def _keeping(self, name: str) -> Callable[[Any], None]:
        """Return a function that writes a fact to evidence.json; only rank 0 writes."""
        return lambda value: self.folder.add_evidence(**{name: value}) if ranks.first() else None

    def _keep_frames(self, trainer: SteeringTrainer, progress: Progress) -> None:
        """Let the trainer read the encoder's frames from disk; missing ones are computed first."""
        encoder, layer = self.model.encoder, self.model.adapter.first_layer
        if not self.model.keepable:
            which = f"layer {layer} of the encoder, which cannot begin there" if layer else "the encoder"
            self.console.note(f"no frames are kept: an adapter changes {which}")
            return
        move(encoder, self.config.device)
        store = FrameStore(
            self.model,
            self.builder.experiment.encoder,
            self.frozen["encoder"],
            self.config.frames_dtype,
        )
        numbers = trainer.example_numbers()
        task = progress.add_task("keeping frames", total=-(-len(numbers) // ranks.world()), note="")
        trainer.examples = store.keep(
            trainer.examples,
            numbers,
            self.collator,
            lambda clips: progress.advance(task, clips),
            ranks.loading_processes(self.config.workers, next(encoder.parameters()).device),
        )

    def _take_steps(self, trainer: SteeringTrainer) -> None:
        resumed = ranks.on_rank0(lambda: latest(self.folder.checkpoints))
        step = step_of(resumed) if resumed else 0
        ranks.on_rank0(lambda: Journal(self.folder.metrics).rewind(step))
        if resumed:
            self.console.note(f"resuming from step {step}")
        elif self.builder.start:
            self._extend(trainer.examples)
        else:
            prepare(self.model, self.collator, trainer)
        if not (self.validator and self.validator.stopped_at(resumed)):
            trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)

    def _extend(self, examples: Sequence[Example]) -> None:
        """Extend what the run starts from by its training data."""
        parts: dict[str, Adapter | Projector] = {
            "adapter": self.model.adapters, "projector": self.model.projector,
        }  # fmt: skip
        for name, part in parts.items():
            if added := part.extend(map(self.collator.reference, examples)):
                self.console.note(f"{name}: {added}")

    def _finish(self, step: int) -> None:
        """Write the adapter of the best validated step, or of the last step."""
        if self.validator:
            training = self.validator.finish(self.model, self.folder.checkpoints)
        else:
            training = ending(self.builder.experiment, step, adapter_step=step)
        self._write_adapter(training)

    def _write_adapter(self, training: TrainingEnd) -> None:
        ranks.on_rank0(lambda: self._write(training))

    def _write(self, training: TrainingEnd) -> None:
        self.folder.set_status("running", training=training)
        experiment = self.builder.experiment
        toml = model_toml(experiment, self.builder.registry)
        adapter.save(self.folder.adapter, self.model, experiment, toml, self.frozen, training)


def prepare(model: Joined, collator: Collator, trainer: SteeringTrainer) -> None:
    """Initialize the projector from training data before the first step."""

    def pairs() -> Iterator[tuple[Padded, Padded]]:
        # The same batches in every process; a short run has fewer.
        batches = islice(trainer.batches(0, 1), model.projector.begin_batches)
        device = model.decoder.embeddings.device  # not the encoder's: ZeRO-3 moves the decoder later
        with torch.no_grad():
            for batch in batches:
                answers = Padded(batch.answer.values, batch.answer.host_lengths - 1)  # (B, L), without EOS
                frames = model.frames(batch.features.to(trainer.args.device))  # (B, T, D)
                yield frames.to(device), answers.to(device)

    model.projector.begin(map(collator.reference, trainer.examples), pairs())
