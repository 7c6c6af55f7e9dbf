"""Time and cost of a run on GPUs that are not here, and whether it fits, from the trace of its step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from steermoe_core.data.examples import Examples
from steermoe_core.errors import DataError, SetupError, SteermoeError
from steermoe_core.model.weights import shapes_only
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.cost.gpus import MEMORY
from steermoe_core.run.cost.lengths import Clips
from steermoe_core.run.cost.roofline import Roofline, Traced
from steermoe_core.run.preview.memory import held, prepare, reason
from steermoe_core.system.hub import nothing_fetched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console
    from steermoe_core.run.cost.gpus import Gpu
    from steermoe_core.run.cost.lengths import Lengths


@attrs.frozen(kw_only=True)
class Cost:
    """A run on a GPU of some kind, or on several.

    :param steps: of the run, which passes over the same clips whatever the ranks; None where unknown.
    :param step_seconds: of a step, with the time in which ranks wait for the slowest.
    :param hours: of all steps; validation, evaluation and loading are not included.
    :param price: of all GPUs for these hours; None without a price per hour.
    :param memory_bytes: of the longest batch, with weights and optimizer.
    :param fits: whether a GPU has this memory.
    """

    gpu: str
    ranks: int
    steps: int | None
    step_seconds: float
    waiting: float
    hours: float | None
    price: float | None
    memory_bytes: int
    fits: bool


@attrs.frozen(kw_only=True)
class Machines:
    """The GPUs on which a run is costed, and the numbers of ranks.

    :param price: of a GPU for an hour.
    :param batches: number of typical batches that are traced.
    """

    gpus: Sequence[Gpu]
    console: Console
    ranks: Sequence[int] = (1,)
    price: float | None = None
    lengths: Lengths = "data"
    batches: int = 3

    def costs(self, model: Joined, train: TrainConfig, traced: Traced) -> list[Cost]:
        """Return the cost of a run on each GPU with each number of ranks.

        :param train: with the steps of one process; None where they are not known.
        """
        found = []
        for gpu in self.gpus:
            for ranks in self.ranks:
                line = traced.on(gpu, ranks)
                steps = None if train.steps is None else math.ceil(train.steps / ranks)
                seconds = line.step / (1.0 - line.waiting)
                hours = None if steps is None else steps * seconds / 3600
                price = None if hours is None or self.price is None else hours * ranks * self.price
                memory = sum(held(model)) + line.peak_bytes
                found.append(
                    Cost(
                        gpu=gpu.name,
                        ranks=ranks,
                        steps=steps,
                        step_seconds=seconds,
                        waiting=line.waiting,
                        hours=hours,
                        price=price,
                        memory_bytes=memory,
                        fits=memory <= MEMORY * gpu.memory,
                    )
                )
        return found

    def traced(
        self,
        builder: Builder,
        model: Joined,
        collator: Collator | None,
        examples: Sequence[Example],
        token: int,
    ) -> Traced:
        """Trace batches of an experiment.

        :param model: on the meta device, its projector prepared.
        :param examples: the training examples; unused where the lengths are published ones.
        :raises SetupError: a part asks for values, which the trace has not.
        """
        experiment = builder.experiment
        longest = min(model.encoder.max_seconds or math.inf, experiment.data.max_seconds)
        if self.lengths == "data":
            clips = Clips(seconds=Examples.of(examples).seconds.tolist(), origin="of the training clips")
        else:
            clips = Clips.like(self.lengths, longest)
        text = (0, 0) if collator is None else collator.prompt_lengths()
        with self.console.progress() as progress:
            task = progress.add_task("tracing batches", total=self.batches + 1, note="")
            try:
                return Traced.of(
                    model, experiment.train, clips, text, token, experiment.experiment.seed,
                    number=self.batches, advance=lambda: progress.advance(task),
                )  # fmt: skip
            except RuntimeError as error:  # torch's, where a part reads values: fake tensors have none
                msg = f"the training step cannot be traced without weights: {reason(error)}"
                raise SetupError(msg) from error


def rooflines(resolved: Resolved, registry: Registry, machines: Machines) -> list[Roofline]:
    """Return the training step of an experiment on each GPU; nothing is fetched, no weight is loaded.

    :raises SetupError: the shapes of a model are not known on this machine, or the step cannot be traced.
    :raises DataError: the lengths of the training clips are to be taken, and cannot be read.
    """
    with nothing_fetched(), placed(resolved.experiment, resolved.path, resolved.origins):
        builder = Builder(resolved.experiment, registry)
        with shapes_only():
            model = builder.model()
        collator = None if model.decoder.tokenizer is None else builder.collator(model)
        examples: Sequence[Example] = []
        if machines.lengths == "data":
            try:
                examples, _ = builder.train_examples(model.encoder.max_seconds)
            except SteermoeError as error:
                raise unreadable(str(error)) from error
        token = prepare(model.projector, map(collator.reference, examples) if collator else ())
        traced = machines.traced(builder, model, collator, examples, token)
        return [traced.on(gpu, ranks) for gpu in machines.gpus for ranks in machines.ranks]


def unreadable(why: str) -> DataError:
    """Return the error of training clips whose lengths are needed and not known."""
    return DataError(
        "the time of a step depends on the lengths of the training clips, which cannot be read here "
        f"({why}); --lengths librispeech takes published ones"
    )
