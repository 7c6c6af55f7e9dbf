"""The runs that a report is about: what their folders hold, read once."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.run.folder.finished import FinishedRun
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.study.names import labels
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.config.resolve import Resolved
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import Edits
    from steermoe_core.plugins import Registry

    Judged = list[tuple[Prediction, Edits]]


@attrs.frozen(eq=False)
class Split:
    """What a run has in `evaluations/<split>/`.

    :param scores: scores.json.
    :param judged: each prediction of the model, with its edits by the run's first metric; empty without one.
    :param routing: routing.json; empty where the routers were not looked into.
    """

    name: str
    scores: dict[str, Any]
    judged: Judged
    routing: dict[str, Any]


@attrs.frozen(eq=False)
class Run:
    """A run, finished or not.

    :param name: what it is called on the page: its experiment, with the settings that tell it from namesakes.
    :param metrics: that it is scored by.
    :param card: adapter.json; empty before training has ended.
    :param journal: lines of metrics.jsonl.
    :param splits: that have scores, in the order of the experiment.
    """

    name: str
    folder: RunFolder
    resolved: Resolved
    metrics: list[Metric]
    status: dict[str, Any]
    card: dict[str, Any]
    lock: dict[str, Any]
    certificates: list[dict[str, Any]]
    journal: list[dict[str, Any]]
    splits: list[Split]

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
    """Read run folders; one that is named twice is read once.

    :raises UsageError: one is none, or a file in it is damaged.
    :raises ConfigError: its experiment no longer is one.
    :raises PluginError: a part that it needs is not installed.
    """
    folders = [RunFolder.existing(path) for path in {path.resolve(): path for path in paths}.values()]
    resolved = [resolve(folder.experiment, [], registry) for folder in folders]
    names = labels([one.table for one in resolved], [folder.path for folder in folders])
    return [_run(*one, registry) for one in zip(names, folders, resolved, strict=True)]


def judged(found: Sequence[Run], name: str) -> list[tuple[Run, Judged]]:
    """Return the judged predictions of a split, of each run that has any."""
    return [(run, split.judged) for run in found if (split := run.split(name)) and split.judged]


def splits(found: Sequence[Run]) -> list[str]:
    """Return the names of all splits that have scores."""
    return list(dict.fromkeys(split.name for run in found for split in run.splits))


def _run(name: str, folder: RunFolder, resolved: Resolved, registry: Registry) -> Run:
    metrics = [registry.get("metric", one.name).build(one.config) for one in resolved.experiment.metrics]
    run = FinishedRun(folder.path, registry)
    scored = _scored(folder, list(resolved.experiment.data.eval))
    return Run(
        name=name,
        folder=folder,
        resolved=resolved,
        metrics=metrics,
        status=plain(run.status) or {},
        card=plain(run.adapter) if run.trained else {},
        lock=plain(run.lock) or {},
        certificates=plain(run.certificates),
        journal=plain(run.metrics),
        splits=[_split(run, split, metrics) for split in scored],
    )


def _scored(folder: RunFolder, order: Sequence[str]) -> list[str]:
    """Return the splits of a run that have scores."""
    places = {name: number for number, name in enumerate(order)}
    return sorted(folder.scored, key=lambda split: places.get(split, len(places)))


def _split(run: FinishedRun, split: str, metrics: Sequence[Metric]) -> Split:
    predictions = run.predictions(split)
    return Split(
        name=split,
        scores=plain(run.scores[split]),
        judged=[(one, metric.edits(one)) for metric in metrics[:1] for one in predictions],
        routing=plain(run.routing(split)) or {},
    )
