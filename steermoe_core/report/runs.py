"""The runs that a report is about: what their folders hold, read once."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.errors import UsageError
from steermoe_core.evaluate.prediction import read
from steermoe_core.run.certify.certificate import read_certificates
from steermoe_core.run.folder import lock
from steermoe_core.run.folder.adapter import read_card
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.run.folder.scores import read_scores, scored_splits
from steermoe_core.study.names import labels
from steermoe_core.system.json_shapes import NUMBER, DamagedError, read_json
from steermoe_core.train.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.component import Figure
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.evaluate.metrics import Edits, Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.plugins import Registry

    Judged = list[tuple[Prediction, Edits]]

_LAYERS = [{"layer": (int, str), "load?": [NUMBER]}]
#: routing.json, as far as the page reads it.
_ROUTING = {
    "clips?": int,
    "layers?": (None, _LAYERS),
    "by?": (None, {"*": {"*": {"clips": int, "layers": _LAYERS}}}),
    "knockouts?": (None, [{"what": str, "metric": str, "difference": NUMBER, "verdict": str}]),
}


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
    :param figures: that its callbacks declare.
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
    figures: list[Figure]
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
    scored = _scored(folder, list(resolved.experiment.data.eval))
    return Run(
        name=name,
        folder=folder,
        resolved=resolved,
        metrics=metrics,
        status=folder.status,
        card=read_card(folder.adapter) if folder.adapter.is_dir() else {},
        lock=lock.read(folder.lock),
        certificates=read_certificates(folder),
        journal=list(Journal(folder.metrics).read()),
        figures=[
            figure
            for one in resolved.experiment.callbacks
            for figure in registry.get("callback", one.name).figures
        ],
        splits=[_split(path.parent, metrics) for path in scored],
    )


def _scored(folder: RunFolder, order: Sequence[str]) -> list[Path]:
    """Return the scores.json of a run."""
    places = {name: number for number, name in enumerate(order)}
    return sorted(scored_splits(folder), key=lambda path: places.get(path.parent.name, len(places)))


def _split(folder: Path, metrics: Sequence[Metric]) -> Split:
    predictions = read(folder / "predictions.jsonl")
    return Split(
        name=folder.name,
        scores=read_scores(folder / "scores.json"),
        judged=[(one, metric.edits(one)) for metric in metrics[:1] for one in predictions],
        routing=_routing(folder / "routing.json"),
    )


def _routing(path: Path) -> dict[str, Any]:
    """Return a routing.json; an empty one where there is none.

    :raises UsageError: it is damaged.
    """
    try:
        return dict(read_json(path, _ROUTING))
    except FileNotFoundError:
        return {}
    except DamagedError as error:
        msg = f"{path} cannot be read ({error}); restore it, or move it away to report without it"
        raise UsageError(msg) from None
