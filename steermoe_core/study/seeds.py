"""Finished runs grouped by seed: runs whose experiments differ only in the seed are one group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.resolve import Resolved, resolve
from steermoe_core.errors import UsageError
from steermoe_core.evaluate.prediction import Prediction, file_name, read
from steermoe_core.run.assembly.builder import metrics_of
from steermoe_core.run.folder.finished import results, scores_of
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.run.folder.scores import scored_splits
from steermoe_core.run.scoring.own_decoder import NAME, own_folder
from steermoe_core.study.names import SEED, labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.plugins import Registry


@attrs.frozen(eq=False, kw_only=True)
class SeedGroup:
    """Finished runs that differ only in the seed, sorted by seed.

    :param resolved: experiment of the first run.
    :param facts: `results` of each run.
    :param metrics: of the experiment.
    :param control: name of the control whose hypotheses and scores these are; empty for the model's own.
    """

    resolved: Resolved
    seeds: list[int]
    facts: list[dict[str, Any]]
    folders: list[RunFolder]
    metrics: list[Metric]
    control: str = ""

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.resolved.experiment.experiment.name

    @property
    def runs(self) -> list[str]:
        """Paths of the run folders."""
        return [str(folder.path) for folder in self.folders]

    def splits(self) -> list[str]:
        """Return the splits for which every run has scores."""
        first, *others = [one["splits"] for one in self.facts]
        return [split for split in first if all(split in other for other in others)]

    def compares(self, group: SeedGroup, split: str) -> bool:
        """Return whether another group can be compared with this one on a split: it shares no run with it."""
        shared = {folder.path for folder in self.folders} & {folder.path for folder in group.folders}
        return not shared and split in self.splits()

    def predictions(self, split: str) -> list[list[Prediction]]:
        """Return the predictions of each run, all for the same clips.

        :raises UsageError: the runs were scored on different clips.
        """
        name = file_name(self.control)
        by_run = [read(folder.evaluations / split / name) for folder in self.folders]
        for folder, predictions in zip(self.folders, by_run, strict=True):
            if {one.id for one in predictions} != {one.id for one in by_run[0]}:
                msg = (
                    f"{folder.path} and {self.folders[0].path} were scored on different clips of {split}; "
                    "score both again on the same data"
                )
                raise UsageError(msg)
        return by_run


def seed_groups(paths: Sequence[Path], registry: Registry) -> list[SeedGroup]:
    """Return finished runs grouped by seed, in the order of each group's first path.

    Runs of a group are sorted by seed, so the order of paths does not change its intervals.

    :raises UsageError: a path is not a run folder, or the run has no scores yet.
    """
    groups: dict[str, list[tuple[Resolved, RunFolder]]] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        folder = RunFolder.existing(path)
        resolved = resolve(folder.experiment, [], registry)
        if reason := _unscored(folder):
            msg = f"{folder.path} has nothing to show: {reason}"
            raise UsageError(msg)
        seedless = {**resolved.table, "experiment": {**resolved.table["experiment"], "seed": None}}
        groups.setdefault(json.dumps(seedless, sort_keys=True, default=str), []).append((resolved, folder))
    return [_group(members, registry) for members in groups.values()]


def _group(members: Sequence[tuple[Resolved, RunFolder]], registry: Registry) -> SeedGroup:
    members = sorted(members, key=lambda member: _seed(member[0]))
    first, _ = members[0]
    return SeedGroup(
        resolved=first,
        seeds=[_seed(resolved) for resolved, _ in members],
        facts=[results(folder) for _, folder in members],
        folders=[folder for _, folder in members],
        metrics=metrics_of(first.experiment, registry),
    )


def _seed(resolved: Resolved) -> int:
    return resolved.experiment.experiment.seed


def group_labels(groups: Sequence[SeedGroup]) -> list[str]:
    """Return a label for each group: its experiment's name, with the settings that tell namesakes apart."""
    return labels(
        [group.resolved.table for group in groups], [group.folders[0].path for group in groups], apart=[SEED]
    )


def own_decoder_group(run: Path, registry: Registry) -> SeedGroup:
    """Return the scores of the encoder's own decoder as a group of one run that trained nothing.

    :param run: folder of the run whose encoder it is.
    """
    resolved, folder = resolve(run / "experiment.toml", [], registry), own_folder(run)
    facts = {
        "run": str(folder.path),
        "experiment": NAME,
        "trainable_parameters": 0,
        "steps": 0,
        "splits": scores_of(folder),
    }
    metrics = metrics_of(resolved.experiment, registry)
    return SeedGroup(
        resolved=resolved, seeds=[_seed(resolved)], facts=[facts], folders=[folder], metrics=metrics
    )


def scored_runs(paths: Sequence[Path], note: Callable[[str], None]) -> list[Path]:
    """Return the paths that are runs with scores, such as those among `runs/*`.

    A single path is returned unchecked; the command that reads it reports what is wrong with it.

    :param note: receives a message for each path that is left out.
    :raises UsageError: a path does not exist, or none of several is a run with scores.
    """
    if len(paths) <= 1:
        return list(paths)
    if missing := [path for path in paths if not path.exists()]:
        msg = f"{missing[0]} does not exist"
        raise UsageError(msg)
    reasons = {path: _unscored(RunFolder(path)) for path in paths}
    kept = [path for path, reason in reasons.items() if reason is None]
    if not kept:
        msg = f"none of these {len(reasons)} is a run with scores; finish one with `steermoe run`"
        raise UsageError(msg)
    for path, reason in reasons.items():
        if reason is not None:
            note(f"{path} is left out: {reason}")
    return kept


def _unscored(folder: RunFolder) -> str | None:
    """Return why a folder has no scores to show; None if it has scores."""
    if not folder.experiment.is_file():
        return "it is not a run folder: it has no experiment.toml"
    if not folder.adapter.is_dir() or not scored_splits(folder):
        return f"it has no scores yet; finish it with `steermoe run {folder.experiment}`"
    return None
