"""The runs that a report is about: what their folders hold, read once."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import attrs

from steermoe_core.evaluate.metrics import CorpusMetric
from steermoe_core.evaluate.scores import Score
from steermoe_core.run.assembly.builder import metrics_of
from steermoe_core.run.folder.finished import FinishedRun
from steermoe_core.study.names import labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.component import Figure
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import Edits, Scores
    from steermoe_core.plugins import Registry
    from steermoe_core.run.folder.records import AdapterCard, Routing


@attrs.frozen(eq=False)
class Answer:
    """An answer of the model, with its edits by the first metric of the run that counts them."""

    prediction: Prediction
    edits: Edits


@attrs.frozen(eq=False)
class Split:
    """A split of a run that has scores.

    :param answers: empty if the run has no metric that counts edits.
    :param routing: None if the routers were not observed.
    """

    name: str
    scores: Scores
    answers: list[Answer]
    routing: Routing | None


@attrs.frozen(kw_only=True)
class RunScore(Score):
    """A metric's value on a split of a run.

    :param controls: value of each control.
    """

    run: str
    split: str
    controls: dict[str, float | None]


@attrs.frozen(eq=False)
class Run:
    """A run, finished or not.

    :param name: name on the page: the experiment's, with the settings that distinguish namesakes.
    :param files: what its folder holds.
    :param metrics: of the experiment.
    :param figures: figures that the installed callbacks declare.
    :param splits: splits that have scores, in the order of the experiment.
    """

    name: str
    files: FinishedRun
    metrics: list[Metric]
    figures: list[Figure]
    splits: list[Split]

    @property
    def counting(self) -> Metric | None:
        """The first metric that counts edits, by which single clips are judged."""
        return next(iter(_counting(self.metrics)), None)

    @property
    def card(self) -> AdapterCard | None:
        """adapter.json; None before training has ended."""
        return self.files.adapter if self.files.trained else None

    @property
    def scored(self) -> bool:
        """Whether it has been trained and scored."""
        return bool(self.splits and self.card)

    def split(self, name: str) -> Split | None:
        """Return a split, if it has scores."""
        return next((split for split in self.splits if split.name == name), None)

    def scores(self) -> Iterator[RunScore]:
        """Yield the score of each metric on each split."""
        for split in self.splits:
            for metric, score in split.scores.metrics.items():
                controls = {
                    name: scores[metric].value
                    for name, scores in split.scores.controls.items()
                    if metric in scores
                }
                facts = {**attrs.asdict(score, recurse=False), "metric": metric}
                yield RunScore(run=self.name, split=split.name, controls=controls, **facts)

    def command(self, *words: str, file: str = "", flags: Sequence[str] = ()) -> str:
        """Return a command on this run as a shell reads it.

        :param words: the command.
        :param file: of the run folder; empty for the folder itself.
        :param flags: arguments after the path.
        """
        path = self.files.path
        return shlex.join(["steermoe", *words, str(path / file if file else path), *flags])


def read_runs(paths: Sequence[Path], registry: Registry) -> list[Run]:
    """Read run folders; a folder that is listed twice is read once.

    :raises UsageError: a path is not a run folder, or a file in it is damaged.
    :raises ConfigError: an experiment is no longer valid.
    :raises PluginError: a part of an experiment is not installed.
    """
    unique = {path.resolve(): path for path in paths}.values()
    finished = [FinishedRun(path, registry) for path in unique]
    names = labels([run.resolved.table for run in finished], [run.path for run in finished])
    return [_run(name, run) for name, run in zip(names, finished, strict=True)]


def answers_to(split: str, runs: Sequence[Run]) -> list[tuple[Run, list[Answer]]]:
    """Return the answers to a split, of each run that has any."""
    return [(run, found.answers) for run in runs if (found := run.split(split)) and found.answers]


def split_names(runs: Sequence[Run]) -> list[str]:
    """Return the names of all splits that have scores."""
    return list(dict.fromkeys(split.name for run in runs for split in run.splits))


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
        figures=[
            figure
            for callback in registry.names("callback")
            for figure in registry.get("callback", callback).figures
        ],
        splits=[
            Split(
                name=split,
                scores=run.scores[split],
                answers=[Answer(one, m.edits(one)) for m in counting for one in run.predictions(split)],
                routing=run.routing(split),
            )
            for split in scored
        ],
    )


def _counting(metrics: Sequence[Metric]) -> list[Metric]:
    return [metric for metric in metrics if not isinstance(metric, CorpusMetric)]
