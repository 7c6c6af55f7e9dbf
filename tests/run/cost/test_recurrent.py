"""What stands in for a recurrent layer has its shapes, its work and its memory, in a few operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from steermoe_core.run.cost.recording import Host, Shapes
from steermoe_core.run.cost.recurrent import gru

if TYPE_CHECKING:
    from collections.abc import Callable

TIME = 50
LAYERS = [
    {"num_layers": 1},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 1, "bias": False, "batch_first": True},
]


def stand_in(layer: nn.GRU, values: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    given = (layer.bias, layer.num_layers, 0.0, False, layer.bidirectional, layer.batch_first)
    return gru(values, states, layer._flat_weights, *given)


def work(run: Callable[[torch.Tensor], Any], values: torch.Tensor) -> int:
    """Return the FLOPs of a forward and a backward pass."""
    with FlopCounterMode(display=False) as counter:
        run(values)[0].sum().backward()
    return int(counter.get_total_flops())


@pytest.mark.parametrize("settings", LAYERS, ids=str)
def test_shapes_and_flops_are_those_of_the_layer(settings: dict[str, int]) -> None:
    """The first time step needs no gradient of a state before it."""
    layer = nn.GRU(6, 8, **settings)
    directions = layer.num_layers * (1 + layer.bidirectional)
    values = torch.randn(TIME, 3, 6, requires_grad=True)
    states = torch.zeros(directions, TIME if layer.batch_first else 3, 8)

    real, found = layer(values, states), stand_in(layer, values, states)

    assert [one.shape for one in found] == [one.shape for one in real]
    flops = work(lambda given: layer(given, states), values)
    ours = work(lambda given: stand_in(layer, given, states), values)
    steps = 3 if layer.batch_first else TIME
    assert flops <= ours <= flops * (1 + 1 / steps)


def test_a_trace_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations do not grow with time; what the layer keeps for its backward pass does."""
    layer = nn.GRU(6, 8, batch_first=True)

    def traced(time: int) -> tuple[int, int]:
        shapes = Shapes()
        numbers = shapes.numbers(layer)
        values = shapes.fake(torch.zeros(3, time, 6))
        with shapes, Host(shapes):
            output, _ = functional_call(layer, numbers, (values,))
            kept = shapes.bytes
            torch.autograd.backward(output.sum())
        return len(shapes.operations), kept

    (few, less), (same, more) = traced(TIME), traced(2 * TIME)

    assert few == same
    assert more == pytest.approx(2 * less, rel=0.05)
    monkeypatch.setattr("steermoe_core.run.cost.recording.STAND_INS", {})
    operations, kept = traced(TIME)
    assert operations > 10 * few
    assert less == pytest.approx(kept, rel=0.3)


def test_packed_sequences_are_traced_as_they_are() -> None:
    """Their lengths decide what is computed in each step."""
    layer = nn.GRU(6, 8)
    packed = nn.utils.rnn.pack_sequence([torch.zeros(4, 6), torch.zeros(2, 6)])
    shapes = Shapes()
    numbers = shapes.numbers(layer)
    with shapes, Host(shapes):
        output, _ = functional_call(layer, numbers, (packed,))

    assert output.data.shape == (6, 8)
