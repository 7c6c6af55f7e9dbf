"""The time of a step is computed from its operations, on paper."""

from __future__ import annotations

import attrs
import pytest
import torch

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.run.cost.gpus import BANDWIDTH, LAUNCH, MATRIX, Gpu
from steermoe_core.run.cost.recording import Operation, Wait
from steermoe_core.run.cost.roofline import Step, Traced
from steermoe_core.run.cost.trace import Trace

#: A GPU whose reached rates are round: 1 TFLOP/s in bf16, 0.1 in fp32, 1 TB/s.
GPU = Gpu("round", 1e12 / MATRIX, 1e11 / MATRIX, 1e12 / BANDWIDTH, 80e9)
PRODUCT = Operation("mm", "decoder", False, torch.bfloat16, 10**10, 10**6)  # 10 ms
SINGLE = Operation("mm", "encoder", True, torch.float32, 10**9, 10**6)  # 10 ms
SLIM = Operation("mm", "projector", False, torch.bfloat16, 10**6, 2 * 10**9)  # 2 ms, of its bytes
SUM = Operation("add", "encoder", False, torch.bfloat16, 0, 3 * 10**9)  # 3 ms
ADAMW = Operation("_foreach_add_", "optimizer", False, torch.float32, 0, 10**9)  # 1 ms


def step(*operations: Operation, clips: list[float], weight: float = 1.0, peak: int = 1) -> Step:
    syncs = {Wait("nonzero", "loss", backward=True): 2, Wait("tolist", "optimizer", backward=False): 1}
    positions = {"decoder": (90, 100)}
    trace = Trace(
        operations=list(operations), optimizer=[ADAMW], syncs=syncs, kept=0, peak=peak, positions=positions
    )
    return Step(clips, weight, trace)


def traced(*steps: Step, order: list[float], accumulation: int = 1) -> Traced:
    train = TrainConfig(steps=1, accumulation=accumulation, precision="bf16")
    return Traced(
        train=train, lengths="", order=lambda ranks: order, batches=list(steps), longest=[steps[-1]]
    )


def test_an_operation_takes_the_longer_of_two_times() -> None:
    """FLOPs at the rate of its type, or bytes."""
    found = traced(step(PRODUCT, SINGLE, SLIM, SUM, clips=[1.0]), order=[1.0]).on(GPU)

    assert found.step == pytest.approx(0.026)
    assert (found.matrix, found.memory) == (pytest.approx(0.022), pytest.approx(0.004))
    assert {one.name: round(one.seconds, 6) for one in found.parts} == {
        "encoder": 0.013,
        "projector": 0.002,
        "decoder": 0.01,
        "optimizer": 0.001,
        "loss": 0.0,
    }
    assert found.mfu == pytest.approx((1.1e10 + 1e6) / (0.026 * GPU.half))
    assert [one.name for one in found.operations][:3] == ["mm", "mm backward", "add"]


def test_the_host_waits_in_parts_and_for_operations() -> None:
    """Also where it waits for none that takes time; the sums are the step's."""
    found = traced(step(attrs.evolve(SUM, name="nonzero", backward=True), clips=[1.0]), order=[1.0]).on(GPU)

    assert {one.name: one.syncs for one in found.parts if one.syncs} == {"loss": 2, "optimizer": 1}
    assert {one.name: (one.syncs, one.kernels) for one in found.operations if one.syncs} == {
        "nonzero backward": (2, 1),
        "tolist": (1, 0),
    }
    assert found.syncs == 3


def test_many_small_kernels_take_the_time_of_their_launches() -> None:
    """The device waits for the host."""
    small = Operation("add", "decoder", False, torch.bfloat16, 0, 1)

    found = traced(step(*[small] * 999, clips=[1.0]), order=[1.0]).on(GPU)

    assert found.kernels == 1000
    assert found.step == found.launches == pytest.approx(1000 * LAUNCH)


def test_a_step_has_several_batches() -> None:
    """The optimizer acts once; so does its wait for the device."""
    found = traced(step(SUM, clips=[1.0, 2.0]), order=[4.0], accumulation=3).on(GPU)

    assert found.step == pytest.approx(0.010)
    assert (found.clips, found.audio_seconds, found.tokens) == (6, 9.0, 270)
    assert found.syncs == 7
    assert found.padding == {"decoder": pytest.approx(0.1)}
    assert found.utterances_per_second == pytest.approx(600)


def test_ranks_wait_for_the_longest_batch() -> None:
    """The times of batches lie between those that were traced."""
    short = step(SUM, clips=[1.0], weight=0.5)
    long = step(SUM, SUM, SUM, clips=[3.0], weight=0.5, peak=7)

    found = traced(short, long, order=[1.0, 3.0, 2.0, 2.0]).on(GPU, ranks=2)

    assert found.waiting == pytest.approx(1 - (3 + 9 + 6 + 6) / (2 * 9 + 2 * 6))
    assert found.step == pytest.approx(0.007)
    assert found.utterances_per_second == pytest.approx(2 * (1 - found.waiting) / 0.007)
    assert found.peak_bytes == 7
