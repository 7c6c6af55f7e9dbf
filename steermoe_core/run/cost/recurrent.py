"""Recurrent layers in a trace: the products of all time steps at once.

A recurrent layer on a CPU is dispatched step by step, thousands of operations for a clip of a few seconds. A
GPU computes it in a few kernels. What stands in for it has the same shapes, the same FLOPs and the same
tensors to keep, with every time step in one product; its values would be wrong, but a trace has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def gru(
    values: Tensor,
    states: Tensor,
    weights: Sequence[Tensor],
    has_biases: bool,  # noqa: FBT001 - torch's signature
    layers: int,
    dropout: float,
    train: bool,  # noqa: FBT001
    bidirectional: bool,  # noqa: FBT001
    batch_first: bool,  # noqa: FBT001
) -> tuple[Tensor, Tensor]:
    """Return tensors in the shapes of `torch.gru`: all outputs, and the last states."""
    del batch_first  # the products are the same
    directions, own = 1 + bidirectional, 2 * (1 + has_biases)
    for layer in range(layers):
        if layer and dropout:
            values = F.dropout(values, dropout, train)
        numbers = range(directions * layer, directions * (layer + 1))
        read = [_read(values, *weights[own * number : own * (number + 1)]) for number in numbers]
        values = torch.cat(read, -1)
    return values, torch.empty_like(states)


def _read(
    values: Tensor, inputs: Tensor, recurrent: Tensor, bias: Any = None, recurrent_bias: Any = None
) -> Tensor:
    """Read values (…,D) in one direction: gates of the inputs and of the states before, new states (…,H)."""
    gates = F.linear(values, inputs, bias)  # (…,3H)
    before = gates[..., : recurrent.shape[1]]  # states have this shape
    reset, update, new = gates.chunk(3, -1)
    past_reset, past_update, past_new = F.linear(before, recurrent, recurrent_bias).chunk(3, -1)
    kept = torch.sigmoid(update + past_update)
    candidate = torch.tanh(new + torch.sigmoid(reset + past_reset) * past_new)
    return candidate + kept * (before - candidate)


#: What stands in for a function of torch.
STAND_INS = {torch.gru: gru}
