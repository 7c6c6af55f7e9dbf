"""Finished runs grouped by seed: runs whose experiments differ only in the seed are one group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.prediction import Prediction, file_name, read
from steermoe_core.run.assembly.builder import metrics_of
from steermoe_core.run.folder.finished import FinishedRun
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.run.scoring.own_decoder import own_folder
from steermoe_core.study.names import SEED, labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from steermoe_core.config.resolve import Resolved
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.evaluate.scores import Scores
    from steermoe_core.plugins import Registry


@attrs.frozen(eq=False, kw_only=True)
class SeedGroup:
    """Finished runs that differ only in the seed, sorted by seed, with what is scored of them.

    :param trainable_parameters: of the model that is scored.
    :param metrics: of the experiment.
    :param folders: hold the evaluations: the run folders, or those of the encoder's own decoder.
    :param scores: of each run by split.
    :param control: name of the control whose hypotheses and scores these are; empty for the model's own.
    """

    runs: list[FinishedRun]
    trainable_parameters: int
    metrics: list[Metric]
    folders: list[RunFolder]
    scores: list[dict[str, Scores]]
    control: str = ""

    @property
    def resolved(self) -> Resolved:
        """Experiment of the first run."""
        return self.runs[0].resolved

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.resolved.experiment.experiment.name

    @property
    def seeds(self) -> list[int]:
        """Seed of each run."""
        return [_seed(run) for run in self.runs]

    @property
    def paths(self) -> list[str]:
        """Path of each folder."""
        return [str(folder.path) for folder in self.folders]

    def splits(self) -> list[str]:
        """Return the splits for which every run has scores."""
        first, *others = self.scores
        return [split for split in first if all(split in other for other in others)]

    def of_split(self, split: str) -> list[Scores]:
        """Return the scores of each run on a split."""
        return [scores[split] for scores in self.scores]

    def compares(self, group: SeedGroup, split: str) -> bool:
        """Return whether another group can be compared with this one on a split: it shares no run with it."""
        return not {*self.paths} & {*group.paths} and split in self.splits()

    def predictions(self, split: str) -> list[list[Prediction]]:
        """Return the predictions of each run, all for the same clips.

        :raises UsageError: the runs were scored on different clips.
        """
        name = file_name(self.control)
        by_run = [read(folder.evaluations / split / name) for folder in self.folders]
        for folder, predictions in zip(self.folders, by_run, strict=True):
            if {one.id for one in predictions} != {one.id for one in by_run[0]}:
                msg = (
                    f"{folder.path} and {self.paths[0]} were scored on different clips of {split}; "
                    "score both again on the same data"
                )
                raise UsageError(msg)
        return by_run


def seed_groups(paths: Sequence[Path], registry: Registry) -> list[SeedGroup]:
    """Return finished runs grouped by seed, in the order of each group's first path.

    Runs of a group are sorted by seed, so the order of paths does not change its intervals.

    :raises UsageError: a path is not a run folder, or the run has no scores yet.
    """
    groups: dict[str, list[FinishedRun]] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        run = FinishedRun(path, registry)
        table = run.resolved.table
        if reason := _unscored(run.folder):
            msg = f"{path} has nothing to show: {reason}"
            raise UsageError(msg)
        seedless = {**table, "experiment": {**table["experiment"], "seed": None}}
        groups.setdefault(json.dumps(seedless, sort_keys=True, default=str), []).append(run)
    return [_group(sorted(runs, key=_seed), registry) for runs in groups.values()]


def _group(runs: list[FinishedRun], registry: Registry) -> SeedGroup:
    return SeedGroup(
        runs=runs,
        trainable_parameters=runs[0].adapter.trainable_parameters,
        metrics=metrics_of(runs[0].experiment, registry),
        folders=[run.folder for run in runs],
        scores=[run.scores for run in runs],
    )


def _seed(run: FinishedRun) -> int:
    return run.experiment.experiment.seed


def group_labels(groups: Sequence[SeedGroup]) -> list[str]:
    """Return a label for each group: its experiment's name, with the settings that tell namesakes apart."""
    return labels(
        [group.resolved.table for group in groups], [group.folders[0].path for group in groups], apart=[SEED]
    )


def own_decoder_group(run: Path, registry: Registry) -> SeedGroup:
    """Return the scores of the encoder's own decoder as a group of one run that trained nothing.

    :param run: folder of the run whose encoder it is.
    """
    finished = FinishedRun(run, registry)
    return SeedGroup(
        runs=[finished],
        trainable_parameters=0,
        metrics=metrics_of(finished.experiment, registry),
        folders=[own_folder(run)],
        scores=[finished.own_decoder],
    )


def scored_runs(paths: Sequence[Path], note: Callable[[str], None]) -> list[Path]:
    """Return the paths that are finished runs with scores, such as those among `runs/*`.

    A single path is returned unchecked; the command that reads it reports what is wrong with it.

    :param note: receives a message for each path that is left out.
    :raises UsageError: a path does not exist, or none of several is a run with scores.
    """
    if len(paths) <= 1:
        return list(paths)
    if missing := [path for path in paths if not path.exists()]:
        msg = f"{missing[0]} does not exist"
        raise UsageError(msg)
    reasons = {path: _unfinished(RunFolder(path)) for path in paths}
    kept = [path for path, reason in reasons.items() if reason is None]
    if not kept:
        msg = f"none of these {len(reasons)} is a run with scores; finish one with `steermoe run`"
        raise UsageError(msg)
    for path, reason in reasons.items():
        if reason is not None:
            note(f"{path} is left out: {reason}")
    return kept


def _unfinished(folder: RunFolder) -> str | None:
    """Return why a folder is not a finished run with scores; None if it is, or if its status is lost."""
    if reason := _unscored(folder):
        return reason
    if folder.state in (None, "finished"):
        return None
    return f"it is not finished; finish it with `steermoe run {folder.experiment}`"


def _unscored(folder: RunFolder) -> str | None:
    """Return why a folder has no scores to show; None if it has scores."""
    if not folder.experiment.is_file():
        return "it is not a run folder: it has no experiment.toml"
    if not folder.adapter.is_dir() or not folder.scored:
        return f"it has no scores yet; finish it with `steermoe run {folder.experiment}`"
    return None
