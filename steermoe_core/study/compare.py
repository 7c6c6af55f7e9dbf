"""What differs between finished runs: settings, packages, weights and data, and scores clip by clip.

Each group of seeds is compared with the baseline. A difference in scores is evidence about what was varied
only if everything else was equal, so every uncontrolled difference is reported as a warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.flat import differing, flat
from steermoe_core.config.naming import dotted
from steermoe_core.errors import UsageError
from steermoe_core.study.names import SEED, varied
from steermoe_core.study.seeds import group_labels, seed_groups
from steermoe_core.study.table import Row, baseline, row
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry
    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.study.seeds import SeedGroup
    from steermoe_core.study.table import Against

    #: A value for each group, by key; None for a group without the key.
    Differences = dict[str, list[Any]]

#: What has to be equal in a comparison, and the keys or tables of the experiment that decide it.
CONTROLLED = {
    "pooling": ("projector.pool",),
    "the number of steps": ("train.steps", "train.epochs"),
    "the number of clips a step": (
        *("train.batch_size", "train.batch_seconds", "train.batch_tokens"),
        "train.accumulation",
    ),
    "precision": ("train.precision", "encoder.dtype", "decoder.dtype"),
    "the training data": ("data.train", "data.weights", "data.min_seconds", "data.max_seconds"),
    "the prompt": ("collator",),
    "the scoring": ("metrics",),
    "generated or chosen answers": ("evaluate.nbest", "evaluate.nbest_weight"),
    "the limit of answers": ("evaluate.max_new_tokens", "evaluate.tokens_per_second"),
}
#: The same for keys of lock.json.
LOCKED = {
    "the frozen encoder": ("frozen", "encoder"),
    "the frozen decoder": ("frozen", "decoder"),
    "the training data": ("data", "train", "sha256"),
    "the number of clips a step": ("batch_budget",),
}
_HASH = 12


@attrs.frozen(kw_only=True)
class Compared:
    """One side of a comparison: a group of seeds.

    :param runs: run folders.
    :param steps: numbers of steps that the runs were trained for, each once.
    """

    experiment: str
    seeds: list[int]
    runs: list[str]
    trainable_parameters: int
    steps: list[int]


@attrs.frozen(kw_only=True)
class Comparison:
    """The differences between groups of seeds; the first group is the baseline.

    :param labels: of the groups.
    :param settings: keys of the experiments that differ, with the value of each group.
    :param surroundings: the same for lock.json: each value is a list, because seeds of a group may differ.
    :param rows: scores, split by split.
    :param warnings: what was not controlled, or could not be compared.
    """

    labels: list[str]
    groups: list[Compared]
    settings: Differences
    surroundings: Differences
    rows: list[Row]
    warnings: list[str]


def compare(paths: Sequence[Path], registry: Registry, against: Sequence[Path] = ()) -> Comparison:
    """Compare runs with a baseline, from their folders alone.

    :param paths: run folders; runs that differ only in the seed are merged.
    :param against: run folders of the baseline; empty for the first of `paths` with its seeds.
    :raises UsageError: a path is not a run folder, has no scores, or there is nothing to compare.
    """
    if against:
        baseline(against, registry)
    groups = seed_groups([*against, *paths], registry)
    if len(groups) == 1:
        msg = "these runs differ only in the seed; add a run of another experiment to compare with"
        raise UsageError(msg)
    names = group_labels(groups)
    settings = _dotted(varied([group.resolved.table for group in groups], [SEED]))
    locks = [[_lock(run) for run in group.runs] for group in groups]
    surroundings = _dotted(differing([_merged(group) for group in locks]))
    rows, refused = _rows(groups, names)
    return Comparison(
        labels=names,
        groups=[
            Compared(
                experiment=group.name,
                seeds=group.seeds,
                runs=group.paths,
                trainable_parameters=group.trainable_parameters,
                steps=sorted({run.adapter.step for run in group.runs}),
            )
            for group in groups
        ],
        settings=settings,
        surroundings={key: [one or [None] for one in values] for key, values in surroundings.items()},
        rows=rows,
        warnings=[*_uncontrolled(names, groups, settings, locks), *refused],
    )


def sentences(rows: Sequence[Row], base: str) -> Iterator[str]:
    """Yield for each score that has a difference what it supports about the row and the baseline.

    :param base: label of the baseline.
    """
    for one in rows:
        for metric, score in one.metrics.items():
            if score.against is not None:
                yield _sentence(one, metric, score.against, base)


def _sentence(row: Row, metric: str, against: Against, base: str) -> str:
    verdict = {
        "better": f"{row.label} is better than {base}",
        "worse": f"{row.label} is worse than {base}",
    }.get(against.verdict, f"{row.label} and {base} are not distinguishable")
    figures = f"{metric.upper()} difference {against.value:+.3f}"
    if against.interval is None:
        figures += ", too few independent clips for an interval"
    else:
        figures += f", 95 % interval {against.interval.low:+.3f} … {against.interval.high:+.3f}"
        figures += f", probability of improvement {against.improvement:.2f}"
    return f"{verdict} on {row.clips} clips of {row.split} ({figures})"


def one_seed(comparison: Comparison) -> str | None:
    """Return what no interval covers, if a group has a single seed."""
    alone = [
        label
        for label, group in zip(comparison.labels, comparison.groups, strict=True)
        if len(group.seeds) == 1
    ]
    if not alone:
        return None
    return (
        f"one seed of {_and(alone)}: the intervals are about other clips, not about other seeds, which may "
        "differ by as much"
    )


def _rows(groups: list[SeedGroup], names: list[str]) -> tuple[list[Row], list[str]]:
    """Return the scores on each split of the baseline, and what could not be compared."""
    base, *others = groups
    rows, refused = [], []
    for split in base.splits():
        rows.append(row(base, split, label=names[0]))
        for group, label in zip(others, names[1:], strict=True):
            if split not in group.splits():
                refused.append(f"{label} has no scores on {split}")
                continue
            try:
                rows.append(row(group, split, base, label=label))
            except UsageError as error:
                refused.append(f"{label} is not compared with {names[0]} on {split}: {error}")
    return rows, refused


def _dotted(differences: dict[KeyPath, list[Any]]) -> Differences:
    return {dotted(path): values for path, values in differences.items()}


def _lock(run: FinishedRun) -> dict[KeyPath, Any]:
    """Return lock.json flat, with short hashes; empty where the file is missing."""
    return {
        path: value[:_HASH]
        if isinstance(value, str) and (path[0] == "frozen" or path[-1] == "sha256")
        else value
        for path, value in flat(plain(run.lock) or {})
        if path not in {("seed",), ("format",)}
    }


def _merged(locks: list[dict[KeyPath, Any]]) -> dict[KeyPath, Any]:
    """Return the values that the runs of a group recorded, each once."""
    paths = dict.fromkeys(path for lock in locks for path in lock)
    values = {path: [lock.get(path) for lock in locks] for path in paths}
    return {path: [v for at, v in enumerate(some) if v not in some[:at]] for path, some in values.items()}


def _uncontrolled(
    names: list[str], groups: list[SeedGroup], settings: Differences, locks: list[list[dict[KeyPath, Any]]]
) -> Iterator[str]:
    """Yield a warning for each thing that should be equal and is not."""
    for what, keys in CONTROLLED.items():
        for key, values in settings.items():
            if any(key == one or key.startswith(f"{one}.") for one in keys):
                yield f"{what} differs: {key} is {_each(names, values)}"
    lost = [label for label, group in zip(names, locks, strict=True) if not all(group)]
    if lost:
        yield f"no lock.json of {_and(lost)}: it is not known whether weights and data were the same"
    for what, path in LOCKED.items():
        hashes = [sorted({str(lock[path]) for lock in group if path in lock}) for group in locks]
        if len({value for group in hashes for value in group}) > 1:
            each = _each(names, [" and ".join(group) or None for group in hashes])
            yield f"{what} differs: {dotted(path)} is {each}"
    for split in groups[0].splits():
        scores = [
            (label, one)
            for label, group in zip(names, groups, strict=True)
            if split in group.splits()
            for one in group.of_split(split)
        ]
        if len({score.data and score.data.sha256 for _, score in scores}) > 1:
            yield f"{split} is not the same data in all runs"
        left_out = {label: sum(map(len, score.left_out.values())) for label, score in scores}
        if len(set(left_out.values())) > 1:
            counts = ", ".join(f"{count} in {label}" for label, count in left_out.items())
            yield f"clips of {split} were left out: {counts}"


def _each(names: list[str], values: list[Any]) -> str:
    return ", ".join(
        f"{'not set' if value is None else value} in {name}"
        for name, value in zip(names, values, strict=True)
    )


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
