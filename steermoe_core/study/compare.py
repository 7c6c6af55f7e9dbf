"""Two or more finished runs side by side: what differs in their settings, surroundings and scores.

Every group of seeds is compared with the first, clip by clip. A comparison is about what was varied only if
all else was equal, so what should have been equal and is not is told as a warning, never passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.flat import differing, flat
from steermoe_core.config.naming import dotted
from steermoe_core.errors import UsageError
from steermoe_core.run.folder.records import Lock
from steermoe_core.study.names import SEED, varied
from steermoe_core.study.seeds import Group, groups, named
from steermoe_core.study.table import row
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry
    from steermoe_core.run.folder.run_folder import RunFolder

    #: A value for each group, by key; groups without the key have None.
    Differences = dict[str, list[Any]]

#: What a comparison has to have in common, and the settings that say so: keys, or tables with all their keys.
CONTROLLED = {
    "pooling": ("projector.pool",),
    "the number of steps": ("train.steps",),
    "the number of clips a step": ("train.batch_size", "train.accumulation"),
    "precision": ("train.precision", "encoder.dtype", "decoder.dtype"),
    "the training data": ("data.train", "data.weights", "data.min_seconds", "data.max_seconds"),
    "the prompt": ("collator",),
    "the ruler": ("metrics",),
    "the limit of answers": ("evaluate.max_new_tokens", "evaluate.tokens_per_second"),
}
#: The same of lock.json, where a run noted what it found.
LOCKED = {
    "the frozen encoder": "frozen.encoder",
    "the frozen decoder": "frozen.decoder",
    "the training data": "data.train.sha256",
}
_HASH = 12


@attrs.frozen(kw_only=True)
class Comparison:
    """What is to be said about runs, the first being what the others are compared with.

    :param labels: of the groups.
    :param groups: facts of each: seeds, run folders, trained numbers, steps.
    :param settings: keys of the experiments that differ, with the value of each group.
    :param surroundings: the same of lock.json: a list of values each, where seeds differ in it.
    :param rows: scores as `table.row` returns them, with the `label` of the group.
    :param warnings: what was not controlled, or could not be compared.
    """

    labels: list[str]
    groups: list[dict[str, Any]]
    settings: Differences
    surroundings: Differences
    rows: list[dict[str, Any]]
    warnings: list[str]


def compare(paths: Sequence[Path], registry: Registry) -> Comparison:
    """Compare runs, from their folders alone.

    :param paths: run folders; those that differ in nothing but the seed are one.
    :raises UsageError: a folder is none of a run or has no scores, or nothing is left to compare.
    """
    found = groups(paths, registry)
    if len(found) < 2:  # noqa: PLR2004 - a comparison has two sides
        msg = "these runs differ in nothing but the seed; name a run of another experiment to compare with"
        raise UsageError(msg)
    names = named(found)
    settings = _dotted(varied([group.resolved.table for group in found], [SEED]))
    locks = [[_lock(folder) for folder in group.folders] for group in found]
    around = _dotted(differing([_together(group) for group in locks]))
    rows, refused = _rows(found, names)
    return Comparison(
        labels=names,
        groups=[_facts(group) for group in found],
        settings=settings,
        surroundings={key: [one or [None] for one in values] for key, values in around.items()},
        rows=rows,
        warnings=[*_uncontrolled(names, found, settings, locks), *refused],
    )


def sentence(base: str, label: str, row: dict[str, Any], metric: str) -> str:
    """Say in one sentence what a row's scores allow to say about a group and the one it is compared with."""
    against = row["metrics"][metric]["against"]
    verdict = {
        "better": f"{label} is better than {base}",
        "worse": f"{label} is worse than {base}",
    }.get(against["verdict"], f"{label} and {base} are not distinguishable")
    figures = f"{metric.upper()} difference {against['value']:+.3f}"
    if against["interval"] is None:
        figures += ", too few independent clips for an interval"
    else:
        low, high = against["interval"]["low"], against["interval"]["high"]
        figures += f", 95 % interval {low:+.3f} … {high:+.3f}"
        figures += f", probability of improvement {against['improvement']:.2f}"
    return f"{verdict} on {row['clips']} clips of {row['split']} ({figures})"


def one_seed(found: Comparison) -> str | None:
    """Return what no interval knows, where a group has a single seed."""
    alone = [
        label for label, facts in zip(found.labels, found.groups, strict=True) if len(facts["seeds"]) == 1
    ]
    if not alone:
        return None
    return (
        f"one seed of {_and(alone)}: the intervals are about other clips, not about other seeds, which may "
        "differ by as much"
    )


def _facts(group: Group) -> dict[str, Any]:
    first = group.facts[0]
    return {
        "experiment": group.name,
        "seeds": group.seeds,
        "runs": [one["run"] for one in group.facts],
        "trainable_parameters": first["trainable_parameters"],
        "steps": sorted({one["steps"] for one in group.facts}),
    }


def _rows(found: list[Group], names: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the scores of every split that the first group has, and what could not be compared."""
    base, *others = found
    rows, refused = [], []
    for split in base.splits():
        rows.append({"label": names[0], **row(base, split)})
        for group, label in zip(others, names[1:], strict=True):
            if split not in group.splits():
                refused.append(f"{label} has no scores on {split}")
                continue
            try:
                rows.append({"label": label, **row(group, split, base)})
            except UsageError as error:
                refused.append(f"{label} is not compared with {names[0]} on {split}: {error}")
    return rows, refused


def _dotted(found: dict[KeyPath, list[Any]]) -> Differences:
    return {dotted(path): values for path, values in found.items()}


def _lock(folder: RunFolder) -> dict[KeyPath, Any]:
    """Return lock.json flat, hashes short; empty where it is lost."""
    return {
        path: value[:_HASH]
        if isinstance(value, str) and (path[0] == "frozen" or path[-1] == "sha256")
        else value
        for path, value in flat(_recorded(folder))
        if path != ("seed",)
    }


def _recorded(folder: RunFolder) -> dict[str, Any]:
    found = Lock.find(folder.lock)
    return {} if found is None else {key: value for key, value in plain(found).items() if key != "format"}


def _together(locks: list[dict[KeyPath, Any]]) -> dict[KeyPath, Any]:
    """Return the values that the runs of a group found, each once."""
    paths = dict.fromkeys(path for lock in locks for path in lock)
    values = {path: [lock.get(path) for lock in locks] for path in paths}
    return {
        path: [one for at, one in enumerate(found) if one not in found[:at]] for path, found in values.items()
    }


def _uncontrolled(
    names: list[str], found: list[Group], settings: Differences, locks: list[list[dict[KeyPath, Any]]]
) -> Iterator[str]:
    """Yield a warning for each thing that should be equal and is not."""
    for what, keys in CONTROLLED.items():
        for key, values in settings.items():
            if any(key == one or key.startswith(f"{one}.") for one in keys):
                yield f"{what} differs: {key} is {_each(names, values)}"
    lost = [label for label, group in zip(names, locks, strict=True) if not all(group)]
    if lost:
        yield f"no lock.json of {_and(lost)}: whether weights and data were the same is not known"
    for what, key in LOCKED.items():
        path = tuple(key.split("."))
        values = [sorted({str(lock[path]) for lock in group if path in lock}) for group in locks]
        if len({value for group in values for value in group}) > 1:
            said = [" and ".join(group) or None for group in values]
            yield f"{what} differs: {key} is {_each(names, said)}"
    yield from _scored_otherwise(names, found)


def _scored_otherwise(names: list[str], found: list[Group]) -> Iterator[str]:
    """Yield a warning where splits of one name were not the same, or clips of them were left out."""
    for split in found[0].splits():
        scored = [
            (label, one["splits"][split])
            for label, group in zip(names, found, strict=True)
            if split in group.splits()
            for one in group.facts
        ]
        if len({score.get("data", {}).get("sha256") for _, score in scored}) > 1:
            yield f"{split} is not the same data in all runs"
        left = {label: sum(map(len, score["left_out"].values())) for label, score in scored}
        if len(set(left.values())) > 1:
            counts = ", ".join(f"{count} in {label}" for label, count in left.items())
            yield f"clips of {split} were left out: {counts}"


def _each(names: list[str], values: list[Any]) -> str:
    return ", ".join(
        f"{'not set' if value is None else value} in {name}"
        for name, value in zip(names, values, strict=True)
    )


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
