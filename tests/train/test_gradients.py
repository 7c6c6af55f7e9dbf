"""Whether everything trained learns is seen in training, without any effect on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.train.callbacks import Callback
from steermoe_core.train.first_gradients import FirstGradients
from steermoe_core.train.gradients import GradientWatch
from tests.parts import TinyConfig, TinyEncoder, joined, steering

if TYPE_CHECKING:
    from tests.train.conftest import Bench


class Hand(Callback):
    """Does something to the model's gradients before a step."""

    def __init__(self, touch: Any) -> None:
        self.touch = touch

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.touch(state.global_step + 1, self.joined)


def watched(
    bench: Bench, *before: Callback, record: FirstGradients | None = None, steps: int = 3, **adapter: Any
) -> list[Any]:
    """Train some steps and return every record that was kept, as it was then."""
    kept: list[Any] = []
    model = joined(bench.decoder_folder, steering(TinyEncoder(TinyConfig()), **adapter))
    watch = GradientWatch(record, kept.append)
    bench.trainer(*before, watch, model=model, steps=steps, warmup=0).train()
    return kept


def test_all_in_the_first_step(bench: Bench) -> None:
    """One record, with the norm of every trained tensor."""
    (record,) = watched(bench)

    assert len(record.norms) == 6
    assert all(norm > 0 for norm in record.norms.values())
    assert (record.later, record.zeros, record.missing) == ({}, [], [])


def test_what_waits_for_a_partner(bench: Bench) -> None:
    """Vectors that start at zero give the router and the scales no gradient; the second step does."""
    first, second = watched(bench, start=0.0)

    assert first.zeros == ["adapter.vectors"]
    waiting = ["adapter.scales", "adapter.router.weight", "adapter.router.bias"]
    assert first.missing == waiting
    assert second.later == dict.fromkeys(waiting, 2)
    assert second.missing == []


@pytest.mark.parametrize("value", [None, 0.0, float("nan"), float("inf")])
def test_no_gradient_is_none_that_is_finite_and_not_zero(bench: Bench, value: float | None) -> None:
    """Taken away, emptied or broken before the step."""

    def touch(_: int, model: Any) -> None:
        bias = model.projector.map.bias
        bias.grad = None if value is None else torch.full_like(bias, value)

    (record,) = watched(bench, Hand(touch), steps=1)

    assert record.missing == ["projector.map.bias"]


def test_a_start_forgets_what_an_earlier_one_noted(bench: Bench) -> None:
    """It is trained again from the first step."""
    (record,) = watched(bench, record=FirstGradients(norms={"gone": None}))
    assert "gone" not in record.norms
