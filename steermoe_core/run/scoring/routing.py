"""evaluations/<split>/routing.json: what the routers of a trained run do, and what depends on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.data.usable import filtered
from steermoe_core.errors import DataError, UsageError
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.evaluate.labels import groups
from steermoe_core.evaluate.routing import observe
from steermoe_core.evaluate.scores import LayerStatistics
from steermoe_core.model.knockouts import knockouts
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.assembly.trained import check_splits, trained_builder, trained_folder, trained_model
from steermoe_core.run.folder.records import Information, LabelValue, Routing
from steermoe_core.run.folder.run_folder import write_json
from steermoe_core.run.scoring.knockouts import KnockoutScores
from steermoe_core.system.records import structured
from steermoe_core.train import ranks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.routing import Observation
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry
    from steermoe_core.run.assembly.builder import Builder
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.run_folder import RunFolder


@attrs.frozen(kw_only=True)
class Request:
    """What to observe.

    :param split: its name; None takes the first that the experiment scores.
    :param by: labels to observe separately; None takes those of few values.
    :param knockout: whether experts, layers and routing are taken out one by one.
    :param limit: number of clips, evenly spread over the split; None takes all.
    :param batch_size: clips that go through the model together; None takes the experiment's.
    """

    split: str | None = None
    by: Sequence[str] | None = None
    knockout: bool = False
    limit: int | None = None
    batch_size: int | None = None


def routing(path: Path, registry: Registry, console: Console, request: Request) -> Routing:
    """Observe the routers of a trained run, and write and return routing.json.

    :raises UsageError: there is no such run, split or label, or its adapter has no gates.
    """
    folder = trained_folder(path)
    resolved = resolve(folder.experiment, [], registry)
    experiment = resolved.experiment
    known = list(experiment.data.eval)
    check_splits([request.split] if request.split else [], known, folder)
    split = request.split or known[0]
    with placed(experiment, resolved.path, resolved.origins), folder.held(), console.warnings():
        evaluate = experiment.evaluate.together(request.batch_size)
        experiment = attrs.evolve(experiment, evaluate=evaluate)
        builder = trained_builder(folder, experiment, registry)
        return _Observatory(folder, builder, console, split).look(request)


class _Observatory:
    """A run with one of its splits."""

    def __init__(self, folder: RunFolder, builder: Builder, console: Console, split: str) -> None:
        self.folder = folder
        self.builder = builder
        self.console = console
        self.split = split
        self.place = folder.evaluations / split

    def look(self, request: Request) -> Routing:
        """Observe, write routing.json, and again after each knockout."""
        every = self.builder.examples(self.builder.experiment.data.eval[self.split])
        groups(every, request.by)  # a label that is missing is reported before minutes of loading
        with self.console.task("loading models"):
            model = trained_model(self.folder, self.builder)
        _check_gates(model, self.folder)
        heard, _ = filtered(every, 0.0, model.encoder.max_seconds or math.inf)
        clips = _spread(heard, request.limit or len(heard))
        if not clips:
            msg = f"{self.folder.path}: no clip of {self.split} can be read, so there is nothing to observe"
            raise DataError(msg)
        seen = self._observe(model, clips, request)
        scores = self._scores(model, clips)
        found = self._write(seen, clips, scores)
        if request.knockout:
            if scores is None:
                msg = (
                    f"{self.folder.path} has no metric that a knockout could change: add a table [[metrics]]"
                )
                raise UsageError(msg)
            found = self._knock_out(seen, clips, scores)
        return found

    def _observe(self, model: Joined, clips: Sequence[Example], request: Request) -> Observation:
        apart = groups(clips, request.by)
        with self.console.progress() as progress:
            task = progress.add_task(f"observing {self.split}", total=len(clips), note="")
            return observe(
                model,
                self.builder.collator(model),
                clips,
                apart,
                batch_size=self.builder.experiment.evaluate.clips,
                seed=self.builder.experiment.experiment.seed,
                progressed=lambda done: progress.advance(task, done),
            )

    def _scores(self, model: Joined, clips: Sequence[Example]) -> KnockoutScores | None:
        """Return what scores the clips by the experiment's first metric, as its evaluation does."""
        experiment = self.builder.experiment
        if not experiment.metrics:
            return None
        device = next(model.parameters()).device
        evaluator = Evaluator(
            model=model,
            collator=self.builder.collator(model),
            config=attrs.evolve(experiment.evaluate, controls=[]),
            metrics=[self.builder.part(experiment.metrics[0])],
            seed=experiment.experiment.seed,
            device=device,
            workers=ranks.loading_processes(experiment.train.workers, device),
            half=experiment.train.precision == "bf16",
        )
        return KnockoutScores(evaluator, clips, self.place / "knockouts.jsonl")

    def _knock_out(self, seen: Observation, clips: Sequence[Example], scores: KnockoutScores) -> Routing:
        todo = [None, *knockouts(seen.layers, seen.means)]
        with self.console.progress() as progress:
            task = progress.add_task("knocking out", total=len(todo) * len(clips), note="")
            scores.evaluator.progressed = lambda done: progress.advance(task, done)
            for number, one in enumerate(todo, 1):
                if scores.add(one):
                    self._write(seen, clips, scores)
                progress.update(task, completed=number * len(clips))
        return self._write(seen, clips, scores)

    def _write(self, seen: Observation, clips: Sequence[Example], scores: KnockoutScores | None) -> Routing:
        rows = [] if scores is None else scores.rows(self.builder.experiment.experiment.seed)
        found = Routing(
            split=self.split,
            clips=len(clips),
            layers=structured(seen.layers, list[LayerStatistics]),
            by=structured(seen.by, dict[str, dict[str, LabelValue]]),
            information=structured(seen.information, dict[str, list[Information]]),
            baseline=scores.baseline() if scores is not None and rows else None,
            knockouts=rows,
        )
        self.place.mkdir(parents=True, exist_ok=True)
        write_json(self.place / "routing.json", found)
        return found


def _spread(examples: Sequence[Example], count: int) -> list[Example]:
    """Return `count` examples at even distances, in their order."""
    count = min(count, len(examples))
    return [examples[number * len(examples) // count] for number in range(count)]


def _check_gates(model: Joined, folder: RunFolder) -> None:
    model.adapters.watch()
    if not model.adapters.statistics():
        kind = type(model.adapters).__name__
        msg = f"{folder.path} has no routers to observe: its adapter ({kind}) reports no gates"
        raise UsageError(msg)
