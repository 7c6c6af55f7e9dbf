"""The door to what a run left: every file as a record, read when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.config.resolve import Resolved, resolve
from steermoe_core.evaluate.prediction import Prediction, file_name, read
from steermoe_core.evaluate.scores import Scores
from steermoe_core.plugins import Registry, load_registry
from steermoe_core.run.folder.records import AdapterCard, Certificate, Certificates, Lock, Routing, Status
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.system.dataframe import Records
from steermoe_core.system.records import plain
from steermoe_core.train.journal import Journal, Step

if TYPE_CHECKING:
    from steermoe_core.config.experiment import Experiment


class FinishedRun:
    """A run that was started before. What it has not left yet is None, empty or an error, as declared below.

    :param registry: resolves the experiment; by default that of this installation.
    :raises UsageError: the path is not a run folder.
    """

    def __init__(self, path: str | Path, registry: Registry | None = None) -> None:
        self.path = Path(path)
        self.folder = RunFolder.existing(self.path)
        self._registry = registry

    def __repr__(self) -> str:
        """Return the path in angle brackets."""
        return f"<{type(self).__name__} {self.path}>"

    @cached_property
    def registry(self) -> Registry:
        """Where the components of the experiment are looked up."""
        return load_registry() if self._registry is None else self._registry

    @cached_property
    def resolved(self) -> Resolved:
        """experiment.toml, with its table and origins.

        :raises ConfigError: it is not a valid experiment.
        """
        return resolve(self.folder.experiment, [], self.registry)

    @property
    def experiment(self) -> Experiment:
        """The settings of the run's experiment."""
        return self.resolved.experiment

    @cached_property
    def status(self) -> Status | None:
        """status.json."""
        return self.folder.status

    @cached_property
    def lock(self) -> Lock | None:
        """lock.json; None where it is lost.

        :raises RunFolderError: it is damaged.
        """
        return Lock.find(self.folder.lock)

    @cached_property
    def adapter(self) -> AdapterCard:
        """adapter.json.

        :raises CheckpointError: it is missing or damaged.
        """
        return AdapterCard.read(self.folder.adapter / "adapter.json")

    @property
    def trained(self) -> bool:
        """Whether it has its adapter."""
        return self.folder.adapter.is_dir()

    @cached_property
    def certificates(self) -> list[Certificate]:
        """The certificates that were measured.

        :raises CheckpointError: certificates.json is damaged.
        """
        found = Certificates.find(self.folder.certificates)
        return found.certificates if found else []

    @cached_property
    def metrics(self) -> Records[Step]:
        """The lines of metrics.jsonl.

        :raises RunFolderError: a line is damaged.
        """
        return Records(Journal(self.folder.metrics).read())

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """scores.json of each split that has been scored.

        :raises UsageError: one is damaged.
        """
        return scores_of(self.folder)

    @cached_property
    def own_decoder(self) -> dict[str, Scores]:
        """The scores of the encoder's own decoder, by split.

        :raises UsageError: one is damaged.
        """
        return scores_of(RunFolder(self.folder.own_decoder))

    def predictions(self, split: str, control: str = "") -> Records[Prediction]:
        """Return the hypotheses of the model for a split, or those of a control.

        :raises UsageError: they are missing or damaged.
        """
        return Records(read(self.folder.evaluations / split / file_name(control)))

    def routing(self, split: str) -> Routing | None:
        """Return routing.json of a split; None where the routers were not observed.

        :raises UsageError: it is damaged.
        """
        return Routing.find(self.folder.evaluations / split / "routing.json")

    def summary(self) -> dict[str, Any]:
        """Return scores by split, and what was trained, as plain values for `--json`."""
        return {
            "run": str(self.path),
            "experiment": self.adapter.experiment,
            "trainable_parameters": self.adapter.trainable_parameters,
            "steps": self.adapter.step,
            "training": plain(self.adapter.training),
            "certificates": plain(self.certificates),
            "splits": plain(self.scores),
        }


def scores_of(folder: RunFolder) -> dict[str, Scores]:
    """Return scores.json of each split of a folder that has been scored.

    :raises UsageError: one is damaged.
    """
    return {split: Scores.read(folder.evaluations / split / "scores.json") for split in folder.scored}
