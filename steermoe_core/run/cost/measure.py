"""A few training steps of an experiment, measured on this machine.

The run's own training takes them, in a folder that is removed afterwards. The first steps, in which kernels
are chosen and caches fill, are not counted. On a GPU the host runs ahead of the device, so that the shares of
the parts are measured in further steps, in which it waits at every border between parts. Of a training whose
projector first trains alone, the phase with the language model is measured, if there is one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch

from steermoe_core.errors import UsageError
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.assembly.device import move, set_threads
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.cost.batch import phases
from steermoe_core.run.cost.clock import Clock, finish
from steermoe_core.run.cost.lengths import Clips, idle, padded
from steermoe_core.run.cost.noise import NoiseBuilder
from steermoe_core.run.cost.trace import trace
from steermoe_core.run.folder import adapter
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.run.preview.memory import held
from steermoe_core.run.training.training import Training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console
    from steermoe_core.run.cost.lengths import Lengths
    from steermoe_core.system.records import Json

#: Batches whose FLOPs and memory are traced; those of the others lie between.
_TRACED = 3
#: Seconds in which the matrix rate is measured.
_SECONDS = 0.5


@attrs.frozen(kw_only=True)
class Measured:
    """Training steps on this machine; all numbers are means over the counted steps.

    :param step: seconds.
    :param tokens: decoder positions that are not padding.
    :param padding: share of padding in the positions that encoder and decoder compute.
    :param mfu: time that the step's FLOPs take at `rates`, as a share of the step's; None where the step
        cannot be traced.
    :param rates: FLOP/s of a large matrix product on this machine, by type of its numbers.
    :param peak_bytes: of the process on a CPU, of torch's tensors on a GPU.
    :param planned_bytes: of the largest counted batch, from its trace; None where it cannot be traced.
    :param shares: of the time, by part.
    :param ranks: for which `waiting` is computed.
    :param waiting: share of the time in which ranks would wait for the one with the longest clips.
    """

    device: str
    steps: int
    step: float
    clips: float
    audio_seconds: float
    tokens: float
    utterances_per_second: float
    tokens_per_second: float
    padding: dict[str, float]
    mfu: float | None
    rates: dict[str, float]
    peak_bytes: int
    planned_bytes: int | None
    shares: dict[str, float]
    ranks: int
    waiting: float

    def as_json(self) -> Json:
        """Return plain values."""
        return attrs.asdict(self)


def measure(
    resolved: Resolved,
    registry: Registry,
    console: Console,
    *,
    steps: int,
    noise: Lengths | None = None,
    ranks: int = 1,
) -> Measured:
    """Measure training steps of an experiment.

    :param steps: number of counted steps.
    :param noise: measures with random weights, and with noise in place of clips, which are that long.
    :param ranks: that would share the clips.
    :raises UsageError: the experiment trains nothing.
    """
    with (
        TemporaryDirectory(prefix="steermoe-bench-") as folder,
        placed(resolved.experiment, resolved.path, resolved.origins),
    ):
        clock = Clock("cuda" if _on_gpu(resolved.experiment.train) else "cpu", steps)
        builder = Builder(resolved.experiment, registry)
        if noise is not None:
            builder = NoiseBuilder(resolved.experiment, registry, noise, clock.device)
        train = builder.experiment.train
        if train.steps == 0:
            msg = "train.steps is 0: there is no training step to measure"
            raise UsageError(msg)
        set_threads(train.threads)
        with console.task("loading models" if noise is None else "filling models with random weights"):
            model = builder.model()
        if True in phases(model, train):
            model.projector.start_steps = 0
        # Frames of noise are not worth keeping: batches have them as if they were read from disk.
        builder.set_train(_shortened(train, clock.last, keep_frames=train.keep_frames and noise is None))
        training = _training(builder, model, clock, Path(folder), console)
        with clock.watching(model):
            training.run()
        with console.task("tracing batches"):
            waiting = 0.0 if ranks == 1 else _waiting(clock, training, ranks)
            return _measured(clock, move(model, "cpu"), builder.experiment.train, ranks, waiting)


def _training(builder: Builder, model: Joined, clock: Clock, folder: Path, console: Console) -> Training:
    """Return the training of a run that scores nothing."""
    return Training(
        builder=builder,
        model=model,
        frozen=adapter.identity(model),
        splits={},
        callbacks=[*map(builder.part, builder.experiment.callbacks), clock],
        validator=None,
        folder=RunFolder(folder),
        console=console,
        counted=lambda _: None,
    )


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Return the FLOP/s of a large matrix product, the best of several."""
    size = 8192 if device == "cuda" else 512
    one = torch.randn(size, size, device=device).to(dtype)
    best, end = 0.0, time.perf_counter() + _SECONDS
    while time.perf_counter() < end or not best:
        begun = time.perf_counter()
        _ = one @ one
        finish(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - begun))
    return best


def _waiting(clock: Clock, training: Training, ranks: int) -> float:
    """Return the share of time that ranks wait; a batch takes as long as the measured ones of its length."""
    builder, model = training.builder, training.model
    examples, _ = builder.fitting(training.collator, builder.train_examples(model.encoder.max_seconds)[0])
    costs = builder.costs(model, training.collator, examples)
    clips = Clips(seconds=examples.seconds.tolist(), origin="of the training clips")
    order = clips.batches(builder.experiment.train, builder.experiment.experiment.seed, costs, ranks)
    times: dict[float, list[float]] = defaultdict(list)
    for batches, seconds in zip(clock.batches, clock.seconds, strict=True):
        times[sum(map(_size, batches)) / len(batches)].append(seconds / len(batches))
    lengths = sorted(times)
    means = [sum(times[length]) / len(times[length]) for length in lengths]
    return idle(np.interp(list(map(padded, order)), lengths, means).tolist(), ranks)


def _measured(clock: Clock, model: Joined, train: TrainConfig, ranks: int, waiting: float) -> Measured:
    steps, seconds = len(clock.seconds), sum(clock.seconds)
    batches = [batch for step in clock.batches for batch in step]
    padding = {
        tower: 1.0 - sum(real for real, _ in found) / sum(size for _, size in found)
        for tower, found in clock.positions.items()
    }
    tokens = sum(real for real, _ in clock.positions["decoder"])
    clips, audio = sum(map(len, batches)), sum(float(batch.seconds.sum()) for batch in batches)
    found = _traced(model, train, batches, language_model=clock.language_model)
    types = found.flops if found else {torch.float32: 0.0}
    rates = {dtype: matrix_rate(clock.device, dtype) for dtype in types}
    total = sum(clock.parts.values())
    return Measured(
        device=torch.cuda.get_device_name() if clock.device == "cuda" else _cpu(),
        steps=steps,
        step=seconds / steps,
        clips=clips / steps,
        audio_seconds=audio / steps,
        tokens=tokens / steps,
        utterances_per_second=clips / seconds,
        tokens_per_second=tokens / seconds,
        padding=padding,
        mfu=sum(flops / rates[dtype] for dtype, flops in found.flops.items()) / seconds if found else None,
        rates={str(dtype).removeprefix("torch."): rate for dtype, rate in rates.items()},
        peak_bytes=clock.peak,
        planned_bytes=sum(held(model)) + found.peak if found else None,
        shares={part: spent / total for part, spent in clock.parts.items()},
        ranks=ranks,
        waiting=waiting,
    )


@attrs.frozen
class _Needs:
    """What batches need: FLOPs of all by type, and memory of the largest."""

    flops: dict[torch.dtype, float]
    peak: int


def _traced(
    model: Joined, train: TrainConfig, batches: Sequence[Batch], *, language_model: bool
) -> _Needs | None:
    """Return what batches need; None where a part asks for values."""
    ordered = sorted(batches, key=_size)
    places = sorted({round(i * (len(ordered) - 1) / (_TRACED - 1)) for i in range(_TRACED)})
    try:
        traces = [
            trace(model, train, ordered[place].to("cpu"), language_model=language_model, optimizer=False)
            for place in places
        ]
    except RuntimeError:
        return None
    sizes, every = [_size(ordered[place]) for place in places], list(map(_size, batches))
    flops: dict[torch.dtype, float] = {}
    for dtype in {one.dtype for found in traces for one in found.operations if one.flops}:
        known = [sum(one.flops for one in found.operations if one.dtype == dtype) for found in traces]
        flops[dtype] = float(np.interp(every, sizes, known).sum())
    return _Needs(flops, traces[-1].peak)


def _size(batch: Batch) -> float:
    return len(batch) * float(batch.seconds.max())


def _shortened(train: TrainConfig, steps: int, *, keep_frames: bool) -> TrainConfig:
    """Return a training of a few steps in one process, without validation or checkpoints."""
    return attrs.evolve(
        train,
        steps=steps,
        epochs=None,
        warmup=0,
        save_every=0,
        validate=attrs.evolve(train.validate, every=0, keep_best=False),
        deepspeed=None,
        keep_frames=keep_frames,
    )


def _on_gpu(train: TrainConfig) -> bool:
    return train.device != "cpu" and torch.cuda.is_available()


def _cpu() -> str:
    threads = torch.get_num_threads()
    return f"the CPU, {threads} thread{'' if threads == 1 else 's'}"
