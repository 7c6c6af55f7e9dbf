"""The runs that a report is about: what their folders hold, read once."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.evaluate.metrics import CorpusMetric
from steermoe_core.run.assembly.builder import metrics_of
from steermoe_core.run.folder.finished import FinishedRun
from steermoe_core.study.names import labels
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.component import Figure
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import Edits, Scores
    from steermoe_core.plugins import Registry
    from steermoe_core.run.folder.records import AdapterCard, Routing
    from steermoe_core.run.folder.run_folder import RunFolder

    Judged = list[tuple[Prediction, Edits]]


@attrs.frozen(eq=False)
class Split:
    """A split of a run that has scores.

    :param judged: each prediction of the model with its edits by the run's first metric that counts edits;
        empty without one.
    :param routing: None where the routers were not observed.
    """

    name: str
    scores: Scores
    judged: Judged
    routing: Routing | None


@attrs.frozen(eq=False)
class Run:
    """A run, finished or not.

    :param name: name on the page: the experiment's, with the settings that tell namesakes apart.
    :param files: what its folder holds.
    :param metrics: of the experiment.
    :param journal: lines of metrics.jsonl as plain values: the keys of some are those of plugins' callbacks.
    :param figures: figures that the installed callbacks declare.
    :param splits: splits that have scores, in the order of the experiment.
    """

    name: str
    files: FinishedRun
    metrics: list[Metric]
    journal: list[dict[str, Any]]
    figures: list[Figure]
    splits: list[Split]

    @property
    def counting(self) -> Metric | None:
        """The first metric that counts edits, by which single clips are judged."""
        return next(iter(_counting(self.metrics)), None)

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return self.files.folder

    @property
    def resolved(self) -> Resolved:
        """The experiment."""
        return self.files.resolved

    @property
    def card(self) -> AdapterCard | None:
        """adapter.json; None before training has ended."""
        return self.files.adapter if self.files.trained else None

    def split(self, name: str) -> Split | None:
        """Return a split, if it has scores."""
        return next((split for split in self.splits if split.name == name), None)

    def command(self, *words: str, file: str = "", again: Sequence[str] = ()) -> str:
        """Return a command on this run as a shell reads it.

        :param words: the command.
        :param file: of the run folder; empty: the folder itself.
        :param again: what follows it.
        """
        target = self.folder.path / file if file else self.folder.path
        return shlex.join(["steermoe", *words, str(target), *again])


def runs(paths: Sequence[Path], registry: Registry) -> list[Run]:
    """Read run folders; a folder that is listed twice is read once.

    :raises UsageError: a path is not a run folder, or a file in it is damaged.
    :raises ConfigError: an experiment is no longer valid.
    :raises PluginError: a part of an experiment is not installed.
    """
    unique = {path.resolve(): path for path in paths}.values()
    found = [FinishedRun(path, registry) for path in unique]
    names = labels([run.resolved.table for run in found], [run.path for run in found])
    return [_run(name, run) for name, run in zip(names, found, strict=True)]


def judged(found: Sequence[Run], name: str) -> list[tuple[Run, Judged]]:
    """Return the judged predictions of a split, of each run that has any."""
    return [(run, split.judged) for run in found if (split := run.split(name)) and split.judged]


def splits(found: Sequence[Run]) -> list[str]:
    """Return the names of all splits that have scores."""
    return list(dict.fromkeys(split.name for run in found for split in run.splits))


def _run(name: str, run: FinishedRun) -> Run:
    registry = run.registry
    metrics = metrics_of(run.experiment, registry)
    counting = _counting(metrics)[:1]
    order = list(run.experiment.data.eval)
    scored = sorted(run.scores, key=lambda split: order.index(split) if split in order else len(order))
    return Run(
        name=name,
        files=run,
        metrics=metrics,
        journal=plain(run.metrics),
        figures=[
            figure
            for callback in registry.names("callback")
            for figure in registry.get("callback", callback).figures
        ],
        splits=[
            Split(
                name=split,
                scores=run.scores[split],
                judged=[(one, m.edits(one)) for m in counting for one in run.predictions(split)],
                routing=run.routing(split),
            )
            for split in scored
        ],
    )


def _counting(metrics: Sequence[Metric]) -> list[Metric]:
    return [metric for metric in metrics if not isinstance(metric, CorpusMetric)]
