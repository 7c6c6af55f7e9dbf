"""Score a run again from its predictions alone: no model is loaded, and no answer changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.errors import UsageError
from steermoe_core.evaluate.pathologies import instructions
from steermoe_core.evaluate.prediction import file_name, read
from steermoe_core.evaluate.score import judged, marked
from steermoe_core.evaluate.scores import Judged, Scores
from steermoe_core.run.folder.run_folder import RunFolder, write_json, write_text
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from steermoe_core.component import Selection
    from steermoe_core.config.experiment import Experiment
    from steermoe_core.evaluate.config import RuleName
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.plugins import Registry
    from steermoe_core.system.records import Json


@attrs.frozen(kw_only=True)
class Rescored:
    """A split of a run, scored again.

    :param run: its folder.
    :param experiment: name of its experiment.
    :param predictions: of the model (with the name ""), and of each control.
    :param scores: the whole `Scores`; under other rules only what the answers decide.
    :param changed: metrics and other keys of scores.json that have changed.
    """

    run: Path
    experiment: str
    split: str
    predictions: dict[str, list[Prediction]]
    scores: Judged
    changed: list[str]

    def to_json(self) -> Json:
        """Return the scores, without predictions."""
        head = {"run": str(self.run), "experiment": self.experiment, "split": self.split}
        return {**head, "changed": self.changed, **plain(self.scores)}


def rescore(
    path: Path, registry: Registry, *, splits: Sequence[str] | None = None, rules: Sequence[RuleName] = ()
) -> list[Rescored]:
    """Score a run's splits from their predictions.

    Without `rules`, scores.json and the edits in the predictions are renewed where a score came out
    differently, as after a change of a rule or of an older version; otherwise no file is touched.

    :param splits: only these.
    :param rules: score by these in place of the experiment's own, and write nothing.
    :raises UsageError: there is no such run or split, it has no scores yet, or no metric has a rule.
    :raises SetupError: a package that a rule needs is not installed.
    """
    folder = RunFolder.existing(path)
    experiment = resolve(folder.experiment, [], registry).experiment
    wanted = _wanted(folder, splits)
    chosen = _under(experiment.metrics, rules, folder) if rules else experiment.metrics
    metrics = [registry.get("metric", one.name).build(one.config) for one in chosen]
    return [_rescored(folder, experiment, split, metrics, write=not rules) for split in wanted]


def _wanted(folder: RunFolder, splits: Sequence[str] | None) -> list[str]:
    there = folder.scored
    if not there:
        msg = f"{folder.path} has no scores yet; finish it with `steermoe run {folder.experiment}`"
        raise UsageError(msg)
    if unknown := [name for name in splits or [] if name not in there]:
        msg = f"{folder.path} has no scores of split {unknown[0]!r}; there are {', '.join(there)}"
        raise UsageError(msg)
    return list(splits or there)


def _under(selections: Sequence[Selection], rules: Sequence[RuleName], folder: RunFolder) -> list[Selection]:
    """Return the metrics that have a rule, once under each of the rules."""
    ruled = {one.name: one for one in selections if hasattr(one.config, "normalise")}
    if not ruled:
        names = ", ".join(one.name for one in selections) or "none"
        msg = f"no metric of {folder.path} compares texts by a rule (its metrics: {names})"
        raise UsageError(msg)
    return [
        attrs.evolve(one, config=attrs.evolve(one.config, normalise=rule))
        for rule in dict.fromkeys(rules)
        for one in ruled.values()
    ]


def _rescored(
    folder: RunFolder, experiment: Experiment, split: str, metrics: Sequence[Metric], *, write: bool
) -> Rescored:
    """Score a split, and write what came out differently if that is wanted."""
    place, changed = folder.evaluations / split, []
    rows = _predictions(place)
    given = instructions(experiment.collator.config)
    scores = judged(metrics, rows, seed=experiment.experiment.seed, instructions=given)
    if write:
        stored = Scores.read(place / "scores.json")
        changed = _changes(stored, scores)
        scores = attrs.evolve(stored, **attrs.asdict(scores, recurse=False))
        marks = {control: marked(metrics, answers) for control, answers in rows.items()}
        if changed or marks != rows:
            _write(folder, place, marks, scores)
    return Rescored(
        run=folder.path,
        experiment=experiment.experiment.name,
        split=split,
        predictions=rows,
        scores=scores,
        changed=changed,
    )


def _predictions(place: Path) -> dict[str, list[Prediction]]:
    """Return the answers of the model (with the name ""), and of each control."""
    controls = sorted(path.name.split(".", 1)[1] for path in place.glob("predictions.*.jsonl"))
    names = ["", *(name.removesuffix(".jsonl") for name in controls)]
    return {name: read(place / file_name(name)) for name in names}


def _changes(stored: Judged, found: Judged) -> list[str]:
    """Return the names of what differs: metrics, controls' metrics, other keys."""

    def values(scores: Judged) -> dict[str, object]:
        controls = {
            f"{control} {name}": score
            for control, some in scores.controls.items()
            for name, score in some.items()
        }
        others = {"pathologies": scores.pathologies, "length_ratio": scores.length_ratio}
        return {**scores.metrics, **controls, **others}

    before, now = values(stored), values(found)
    return [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]


def _write(folder: RunFolder, place: Path, rows: Mapping[str, Sequence[Prediction]], scores: Judged) -> None:
    """Write scores.json last: as long as it is the old one, the same command does all of this again."""
    with folder.held():
        for control, answers in rows.items():
            write_text(place / file_name(control), "".join(row.line() for row in answers))
        write_json(place / "scores.json", scores)
