"""Run an experiment: train, save the adapter, score every split; or resume an interrupted run."""

from __future__ import annotations

import gc
from functools import cached_property, partial
from typing import TYPE_CHECKING

from steermoe_core.data.usable import readable
from steermoe_core.errors import CheckpointError, PluginError
from steermoe_core.evaluate.scores import Scores
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.assembly.device import move, set_threads
from steermoe_core.run.assembly.from_adapter import finished
from steermoe_core.run.certify.certify import certify
from steermoe_core.run.folder import adapter
from steermoe_core.run.folder.run_folder import RunFolder, now, write_text
from steermoe_core.run.scoring.split import score
from steermoe_core.run.training import processes
from steermoe_core.run.training.training import Training
from steermoe_core.run.training.validation import Validator
from steermoe_core.train import ranks
from steermoe_core.train.deepspeed import splits_weights
from steermoe_core.train.journal import Journal
from steermoe_core.train.zero import split_decoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console
    from steermoe_core.train.callbacks import Callback


class Run:
    """One experiment in its folder.

    :param runs: the folder that holds the run folders.
    :param console: where progress and notes go.
    """

    def __init__(self, resolved: Resolved, registry: Registry, runs: Path, console: Console) -> None:
        self.resolved = resolved
        self.experiment = resolved.experiment
        self.registry = registry
        self.folder = RunFolder.of(self.resolved, runs)
        self.console = console

    @cached_property
    def builder(self) -> Builder:
        """Builds the parts; an adapter to start from is fetched here, once."""
        if self.folder.adapter.is_dir():
            return Builder(finished(self.experiment, self.folder.adapter, self.registry), self.registry)
        return Builder(self.experiment, self.registry)

    @cached_property
    def callbacks(self) -> list[Callback]:
        """The callbacks of the experiment."""
        return [self.builder.part(selection) for selection in self.experiment.callbacks]

    def execute(self) -> RunFolder:
        """Train and score, except what an earlier start has finished.

        :raises KeyboardInterrupt: stopped on request; the same command resumes.
        """
        if not self.finished:
            with processes.exclusive(self.experiment.train, self.folder), self.console.warnings():
                if not ranks.on_rank0(lambda: self.finished):  # another process may have finished it
                    self._execute()
        return self.folder

    def _execute(self) -> None:
        try:
            ranks.on_rank0(self._begin)
            set_threads(self.experiment.train.threads)
            self._train_and_score()
            ranks.on_rank0(lambda: certify(self.folder, self.registry, self.console))
        except BaseException as error:
            processes.claim_report(self.folder, error)
            explained = processes.explained(error)
            self._fail(explained)
            if explained is error:
                raise
            raise explained from error
        ranks.on_rank0(self._end)

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        return self.folder.state == "finished"

    def _begin(self) -> None:
        steps = self.folder.steps(self.experiment.train)
        write_text(self.folder.experiment, self.resolved.to_toml(steps))
        started = (self.folder.status and self.folder.status.started) or now()
        self.folder.set_status("running", started=started, ended=None, error=None)
        self.registry.fire("steermoe_before_run", folder=self.folder.path)

    def _counted(self, steps: int) -> None:
        self.folder.set_status("running", steps=steps)
        write_text(self.folder.experiment, self.resolved.to_toml(steps))

    def _end(self) -> None:
        self.folder.set_status("finished", ended=now(), error=None)
        self.registry.fire("steermoe_after_run", folder=self.folder.path)
        self._close(None)

    def _fail(self, error: BaseException) -> None:
        """Report an error to status.json and the plugins; a second error here is only a note."""
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
        if ranks.first() and "callbacks" in self.__dict__:
            try:
                self._close(error)
            except Exception as second:  # noqa: BLE001 - a plugin's; the first error is the one to report
                self.console.note(f"warning: {second}")

    def _close(self, error: BaseException | None) -> None:
        """Report the end of the run to the callbacks."""
        self._release()
        for callback in self.callbacks:
            callback.on_run_end(error)

    def _release(self) -> None:
        """Take model and clips from the callbacks: certificates build another model."""
        for callback in self.callbacks:
            callback.journal = Journal(self.folder.metrics)
            for name in ("joined", "examples"):
                callback.__dict__.pop(name, None)

    def _train_and_score(self) -> None:
        trained = ranks.on_rank0(self.folder.adapter.is_dir)
        splits = self.builder.eval_examples()  # a missing split fails before hours of training
        if not trained:
            for name, examples in splits.items():
                readable(examples, f"data.eval.{name}")
        self.builder.metrics()  # and so does a missing package of a metric
        if not trained and self.builder.augmentations:  # and so do missing files of an augmentation
            self.console.note(f"training clips are changed by {', '.join(self.builder.augmentations)}")
        validator = None if trained else Validator.of(self.builder, self.console)
        with self.console.task("loading models"):
            model = self.builder.model()
            if not trained and splits_weights(self.experiment.train):
                split_decoder(model, self.experiment.train)
            frozen = adapter.identity(model)
        if not trained:
            Training(
                builder=self.builder,
                model=model,
                frozen=frozen,
                splits=splits,
                callbacks=self.callbacks,
                validator=validator,
                folder=self.folder,
                console=self.console,
                counted=self._counted,
            ).run()
            if splits_weights(self.experiment.train):  # each process has only its share of the trained model
                del model
                gc.collect()
                model, trained = self.builder.model(), True
        if trained:
            adapter.load(self.folder.adapter, model, frozen)
            move(model, self.experiment.train.device)
        self._score(model, frozen, splits)

    def _score(self, model: Joined, frozen: dict[str, str], splits: Mapping[str, Sequence[Example]]) -> None:
        """Score the splits that have no scores yet."""
        unscored = ranks.on_rank0(lambda: self._unscored(splits))
        identity = {**frozen, "adapter": adapter.checksum(self.folder.adapter)} if unscored else {}
        for name in unscored:
            folder = self.folder.evaluations / name
            score(self.builder, model, splits[name], folder, self.console, label=name, identity=identity)
            ranks.on_rank0(partial(self._report, model, name, splits[name]))
        self._release()

    def _report(self, model: Joined, split: str, examples: Sequence[Example]) -> None:
        """Pass the scores of a split to the callbacks."""
        scores = Scores.read(self.folder.evaluations / split / "scores.json")
        for callback in self.callbacks:
            callback.journal, callback.joined = Journal(self.folder.metrics), model
            callback.examples = examples
            callback.on_scores(split, scores)

    def _unscored(self, splits: Iterable[str]) -> list[str]:
        return [name for name in splits if not (self.folder.evaluations / name / "scores.json").is_file()]
