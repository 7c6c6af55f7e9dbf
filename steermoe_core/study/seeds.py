"""Finished runs, merged where their experiments differ in nothing but the seed."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.resolve import Resolved, resolve
from steermoe_core.errors import UsageError
from steermoe_core.evaluate.prediction import read
from steermoe_core.run.assembly.builder import metrics_of
from steermoe_core.run.folder.finished import FinishedRun
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.study.names import SEED, labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.plugins import Registry

    #: Seed, experiment, what `results` says, folder.
    _Entry = tuple[int, Resolved, dict[str, Any], RunFolder]


@attrs.frozen(eq=False, kw_only=True)
class Group:
    """Finished runs that differ in nothing but the seed.

    :param resolved: experiment of the first.
    :param seeds: of the runs.
    :param facts: what `results` says of each.
    :param folders: of the runs.
    :param metrics: that they are scored by.
    :param control: name of the control whose answers and scores these are; empty: the model's own.
    """

    resolved: Resolved
    seeds: list[int] = attrs.field(factory=list)
    facts: list[dict[str, Any]] = attrs.field(factory=list)
    folders: list[RunFolder] = attrs.field(factory=list)
    metrics: list[Metric] = attrs.field(factory=list)
    control: str = ""

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.resolved.experiment.experiment.name

    def splits(self) -> list[str]:
        """Return the splits that all runs have scores of."""
        first, *others = [one["splits"] for one in self.facts]
        return [split for split in first if all(split in other for other in others)]

    def compares(self, group: Group, split: str) -> bool:
        """Tell whether another group's scores of a split have a difference to these."""
        same = {folder.path for folder in self.folders} & {folder.path for folder in group.folders}
        return not same and split in self.splits()

    def predictions(self, split: str) -> list[list[Prediction]]:
        """Return each run's answers, to the same clips.

        :raises UsageError: the runs were scored on different clips.
        """
        name = f"predictions.{self.control}.jsonl" if self.control else "predictions.jsonl"
        found = [read(folder.evaluations / split / name) for folder in self.folders]
        for folder, rows in zip(self.folders, found, strict=True):
            if {row.id for row in rows} != {row.id for row in found[0]}:
                msg = (
                    f"{folder.path} and {self.folders[0].path} were scored on different clips of {split}; "
                    "score both again on the same data"
                )
                raise UsageError(msg)
        return found


def scored_runs(paths: Sequence[Path], note: Callable[[str], None]) -> list[Path]:
    """Return the folders among several that are runs with scores, such as those of `runs/*`.

    A single path is returned as it is: what is wrong with it is an error of the command that reads it.

    :param note: told of each folder that is passed over, and why.
    :raises UsageError: there is no such path, or none of several is a run with scores.
    """
    if len(paths) < 2:  # noqa: PLR2004 - several
        return list(paths)
    if missing := [path for path in paths if not path.exists()]:
        msg = f"{missing[0]} does not exist"
        raise UsageError(msg)
    faults = {path: _unscored(RunFolder(path)) for path in paths}
    kept = [path for path, fault in faults.items() if fault is None]
    if not kept:
        msg = f"none of these {len(faults)} is a run with scores; finish one with `steermoe run`"
        raise UsageError(msg)
    for path, fault in faults.items():
        if fault is not None:
            note(f"{path} is left out: {fault}")
    return kept


def _unscored(folder: RunFolder) -> str | None:
    """Return why a folder has no scores to show; None if it has."""
    if not folder.experiment.is_file():
        return "it is not a run folder: it has no experiment.toml"
    if not folder.adapter.is_dir() or not folder.scored:
        return f"it has no scores yet; finish it with `steermoe run {folder.experiment}`"
    return None


def groups(paths: Sequence[Path], registry: Registry) -> list[Group]:
    """Return the runs, merged where they differ in nothing but the seed, in the order of their first.

    Within a group they stand by seed, so its intervals, drawn with the first, are the same in any order.

    :raises UsageError: a folder is none of a run, or has no scores yet.
    """
    together: dict[str, list[_Entry]] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        folder = RunFolder.existing(path)
        resolved = resolve(folder.experiment, [], registry)
        if fault := _unscored(folder):
            msg = f"{folder.path} is not a run to show: {fault}"
            raise UsageError(msg)
        facts = FinishedRun(path, registry).summary()
        rest = {**resolved.table, "experiment": {**resolved.table["experiment"], "seed": None}}
        key = json.dumps(rest, sort_keys=True, default=str)
        entry = (resolved.experiment.experiment.seed, resolved, facts, folder)
        together.setdefault(key, []).append(entry)
    return [_group(sorted(entries, key=itemgetter(0)), registry) for entries in together.values()]


def _group(entries: Sequence[_Entry], registry: Registry) -> Group:
    seeds, experiments, facts, folders = map(list, zip(*entries, strict=True))
    first = experiments[0]
    return Group(
        resolved=first,
        seeds=seeds,
        facts=facts,
        folders=folders,
        metrics=metrics_of(first.experiment, registry),
    )


def named(found: Sequence[Group]) -> list[str]:
    """Return the names of groups; where experiments share one, with the settings in which they differ."""
    return labels(
        [group.resolved.table for group in found], [group.folders[0].path for group in found], apart=[SEED]
    )
