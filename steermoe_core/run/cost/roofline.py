"""The time of a training step on a named GPU, from the operations of its trace.

Each operation takes the longer of two times: its FLOPs at the rate that matrix products reach, its bytes at
the bandwidth that elementwise kernels reach. A step takes the sum, or the time in which the host launches its
kernels if that is longer. Nothing is fused that the run does not fuse. Loading data, logging and the exchange
of gradients (a few megabytes a step) are not included.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch

from steermoe_core.run.cost.batch import clip_costs, keeps_frames, noise_batch, phases, settled
from steermoe_core.run.cost.gpus import BANDWIDTH, LAUNCH, MATRIX
from steermoe_core.run.cost.lengths import idle, padded, spread
from steermoe_core.run.cost.parts import PARTS
from steermoe_core.run.cost.trace import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.model.joined import Joined
    from steermoe_core.run.cost.gpus import Gpu
    from steermoe_core.run.cost.lengths import Clips
    from steermoe_core.run.cost.recording import Operation, Wait
    from steermoe_core.run.cost.trace import Trace
    from steermoe_core.system.records import Json


@attrs.frozen(kw_only=True)
class Share:
    """What a part of a step, or a kind of operation, costs in a step.

    :param matrix: seconds of matrix products, convolutions and attention.
    :param memory: seconds of all other operations, which memory bounds.
    :param syncs: how often the host waits for the device.
    """

    name: str
    seconds: float
    matrix: float
    memory: float
    tflops: float
    gigabytes: float
    kernels: float
    syncs: float


@attrs.frozen(kw_only=True)
class Roofline:
    """A training step on a GPU; all numbers are means over the traced batches.

    :param lengths: where the lengths of the clips come from.
    :param batches: number of traced batches.
    :param step: seconds of a step of one rank, without waiting.
    :param launches: seconds in which the host launches the kernels of a step.
    :param waiting: share of the time in which ranks wait for the slowest.
    :param tokens: decoder positions that are not padding, of one rank and step.
    :param padding: share of padding in the positions that encoder and decoder compute.
    :param mfu: FLOPs of the step over what the GPU's peak gives in its time.
    :param peak_bytes: of the longest batch, without weights and optimizer.
    """

    gpu: str
    ranks: int
    lengths: str
    batches: int
    step: float
    matrix: float
    memory: float
    launches: float
    kernels: float
    syncs: float
    waiting: float
    clips: float
    audio_seconds: float
    tokens: float
    utterances_per_second: float
    tokens_per_second: float
    padding: dict[str, float]
    mfu: float
    peak_bytes: int
    parts: list[Share]
    operations: list[Share]

    def as_json(self) -> Json:
        """Return plain values."""
        return attrs.asdict(self)


@attrs.frozen
class Step:
    """A traced batch, and its share of the training's steps."""

    clips: Sequence[float]
    weight: float
    trace: Trace


@attrs.frozen(kw_only=True)
class Traced:
    """The traces of batches that stand for a training, which a `Roofline` on any GPU is made of.

    :param order: returns the padded seconds of all batches of an epoch in their order, for a number of ranks.
    :param batches: the traced ones, in each phase of the training.
    :param longest: the longest one.
    """

    train: TrainConfig
    lengths: str
    order: Callable[[int], list[float]]
    batches: list[Step]
    longest: list[Step]

    @classmethod
    def of(
        cls,
        model: Joined,
        train: TrainConfig,
        clips: Clips,
        text: tuple[int, int],
        token: int,
        seed: int,
        *,
        number: int,
        advance: Callable[[], None] = lambda: None,
    ) -> Traced:
        """Trace batches of an experiment.

        :param text: prompt tokens before and after the audio.
        :param token: id of which answers consist.
        :param number: of typical batches; the longest comes on top.
        :param advance: called after each batch.
        :raises RuntimeError: a part asks for values; fake tensors have none.
        """
        train = settled(train)
        costs = clip_costs(model, train, text, clips.seconds)
        every = clips.batches(train, seed, costs)

        def traced(seconds: Sequence[float], weight: float) -> list[Step]:
            batch = noise_batch(model, seconds, text, token, kept=keeps_frames(model, train))
            steps = [
                Step(seconds, weight * share, trace(model, train, batch, language_model=which))
                for which, share in phases(model, train).items()
            ]
            advance()
            return steps

        chosen = spread(every, number)
        return cls(
            train=train,
            lengths=clips.origin,
            order=lambda ranks: list(map(padded, clips.batches(train, seed, costs, ranks))),
            batches=[step for batch in chosen for step in traced(batch, 1 / len(chosen))],
            longest=traced(max(every, key=padded), 1.0),
        )

    def on(self, gpu: Gpu, ranks: int = 1) -> Roofline:
        """Return the step on a GPU."""
        passes = self.train.accumulation
        calls = [(one, passes * step.weight) for step in self.batches for one in step.trace.operations]
        calls += [(one, step.weight) for step in self.batches for one in step.trace.optimizer]
        timed = [(one, weight, _seconds(one, gpu)) for one, weight in calls]
        matrix = sum(weight * seconds for one, weight, seconds in timed if one.flops)
        memory = sum(weight * seconds for one, weight, seconds in timed if not one.flops)
        kernels = sum(weight for _, weight, _ in timed)
        step = max(matrix + memory, kernels * LAUNCH)
        waiting = idle(self._costs(gpu, ranks), ranks)
        clips = self._mean(lambda one: len(one.clips))
        tokens = self._mean(lambda one: one.trace.positions.get("decoder", (0, 0))[0])
        pace = ranks * (1.0 - waiting) / step
        peak = gpu.single if self.train.precision == "fp32" else gpu.half
        waits = self._waits()
        return Roofline(
            gpu=gpu.name,
            ranks=ranks,
            lengths=self.lengths,
            batches=len({id(one.clips) for one in self.batches}),
            step=step,
            matrix=matrix,
            memory=memory,
            launches=kernels * LAUNCH,
            kernels=kernels,
            syncs=sum(waits.values()),
            waiting=waiting,
            clips=clips,
            audio_seconds=self._mean(lambda one: sum(one.clips)),
            tokens=tokens,
            utterances_per_second=clips * pace,
            tokens_per_second=tokens * pace,
            padding=self._padding(),
            mfu=sum(weight * one.flops for one, weight in calls) / step / peak,
            peak_bytes=max(one.trace.peak for one in (*self.batches, *self.longest)),
            parts=_shares(timed, waits, lambda one: one.part, PARTS),
            operations=sorted(_shares(timed, waits, _kind), key=lambda one: -one.seconds),
        )

    def _mean(self, value: Callable[[Step], float]) -> float:
        """Return the mean of what each batch has, for the batches of a step."""
        return self.train.accumulation * sum(one.weight * value(one) for one in self.batches)

    def _waits(self) -> dict[Wait, float]:
        """Return the waits of the host in a step."""
        found: dict[Wait, float] = defaultdict(float)
        for step in self.batches:
            for wait, times in step.trace.syncs.items():
                passes = 1 if wait.part == "optimizer" else self.train.accumulation
                found[wait] += times * step.weight * passes
        return found

    def _costs(self, gpu: Gpu, ranks: int) -> list[float]:
        """Return the time of every batch of an epoch, by its padded length between those that were traced."""
        times: dict[float, list[tuple[float, float]]] = defaultdict(list)
        for step in (*self.batches, *self.longest):
            seconds = sum(_seconds(one, gpu) for one in step.trace.operations)
            times[padded(step.clips)].append((step.weight, seconds))
        means = {
            length: sum(weight * time for weight, time in found) / sum(weight for weight, _ in found)
            for length, found in sorted(times.items())
        }
        found: list[float] = np.interp(self.order(ranks), list(means), list(means.values())).tolist()
        return found

    def _padding(self) -> dict[str, float]:
        """Return the share of padding in the positions that each tower computes."""
        sums: dict[str, list[int]] = {}
        for step in self.batches:
            for tower, counts in step.trace.positions.items():
                before = sums.setdefault(tower, [0, 0])
                sums[tower] = [one + more for one, more in zip(before, counts, strict=True)]
        return {tower: 1.0 - real / computed for tower, (real, computed) in sums.items()}


def _kind(one: Operation | Wait) -> str:
    name = "attention" if "dot_product" in one.name else one.name.removesuffix("_backward")
    return f"{name} backward" if one.backward else name


def _seconds(one: Operation, gpu: Gpu) -> float:
    rate = gpu.single if one.dtype in (torch.float32, torch.float64) else gpu.half
    return max(one.flops / (rate * MATRIX), one.bytes / (gpu.bandwidth * BANDWIDTH))


def _shares(
    timed: Iterable[tuple[Operation, float, float]],
    waits: dict[Wait, float],
    name: Callable[[Operation | Wait], str],
    order: Sequence[str] = (),
) -> list[Share]:
    """Return operations and waits by a name of theirs; some waits are of no operation, such as `tolist`."""
    groups: dict[str, list[tuple[Operation, float, float]]] = defaultdict(list)
    for one in timed:
        groups[name(one[0])].append(one)
    syncs: dict[str, float] = defaultdict(float)
    for wait, times in waits.items():
        syncs[name(wait)] += times
    names = list(dict.fromkeys((*groups, *syncs)))
    return [
        Share(
            name=key,
            seconds=sum(weight * seconds for _, weight, seconds in group),
            matrix=sum(weight * seconds for one, weight, seconds in group if one.flops),
            memory=sum(weight * seconds for one, weight, seconds in group if not one.flops),
            tflops=sum(weight * one.flops for one, weight, _ in group) / 1e12,
            gigabytes=sum(weight * one.bytes for one, weight, _ in group) / 1e9,
            kernels=sum(weight for _, weight, _ in group),
            syncs=syncs.get(key, 0.0),
        )
        for key, group in ((key, groups[key]) for key in order or names if key in names)
    ]
