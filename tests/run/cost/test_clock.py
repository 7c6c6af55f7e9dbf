"""The clock books every moment of the counted steps to one part."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from steermoe_core.run.cost import clock as module
from steermoe_core.run.cost.clock import WARM_UP, Clock
from tests.parts import batch, joined


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass by one second with every look at it."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(seconds)))


def steps(clock: Clock, model: Any, given: Any, number: int) -> None:
    """Take steps as the trainer does."""
    for step in range(number):
        clock.on_step_begin(None, SimpleNamespace(global_step=step), None)  # type: ignore[arg-type]
        torch.autograd.backward(model(given, 6))
        clock.on_step_end()


@pytest.mark.usefixtures("ticks")
def test_the_parts_are_of_the_counted_steps(decoder_folder: str) -> None:
    """Their seconds add up to those of the steps; no warm-up step counts."""
    model = joined(decoder_folder)
    given, clock = batch(model.encoder), Clock("cpu", 2)

    with clock.watching(model):
        steps(clock, model, given, WARM_UP + 2)

    assert len(clock.seconds) == len(clock.batches) == 2
    assert {"encoder", "projector", "decoder", "other", "data"} <= set(clock.parts)
    assert sum(clock.parts.values()) <= sum(clock.seconds)
    assert sum(clock.parts.values()) >= sum(clock.seconds) - 2 * len(
        clock.seconds
    )  # looks at the time itself
    assert clock.peak > 0
    frames = given.features.host_lengths
    once = (int(frames.sum()), len(frames) * int(frames.max()))
    assert clock.positions["encoder"] == [once, once]  # `after` of an adapter computes no row of the encoder
    assert len(clock.positions["decoder"]) == 2


def test_the_model_is_left_as_it_was(decoder_folder: str) -> None:
    """Nothing is timed once the block is left; its values are those of a model that nobody watches."""
    model = joined(decoder_folder)
    given, clock = batch(model.encoder), Clock("cpu", 1)
    before = {part: set(vars(part)) for part in model.modules()}
    alone = model(given, 6)

    with clock.watching(model):
        watched = model(given, 6)

    assert torch.equal(alone, watched)
    assert {part: set(vars(part)) for part in model.modules()} == before


@pytest.mark.parametrize(("device", "last"), [("cpu", WARM_UP + 3), ("cuda", WARM_UP + 6)])
def test_on_a_gpu_the_parts_take_steps_of_their_own(device: str, last: int) -> None:
    """There the host waits at every border between parts, which would slow the counted steps."""
    assert Clock(device, 3).last == last
