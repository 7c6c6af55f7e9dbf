"""The closed-form start of a linear projector: least squares, rescaled to the embeddings' own spread."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from steermoe_core.data.layout import ids
from steermoe_core.data.padded import Padded
from steermoe_core.model.ridge import Ridge

WIDTH, HIDDEN, TOKENS = 5, 7, 11


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Draw the same numbers in every test."""
    torch.manual_seed(0)


def fitted(frames: Padded, answer: Padded, table: torch.Tensor) -> nn.Linear:
    """Return the map that is solved from the rows of a batch, one after another."""
    ridge, linear = Ridge(1e-9), nn.Linear(WIDTH, HIDDEN)
    for row, text in zip(frames.rows(), answer.rows(), strict=True):
        ridge.add(Padded.stack([row]), Padded.stack([text]), lambda tokens: table[tokens])
    ridge.solve_into(linear)
    return linear


def test_a_linear_relation_is_found() -> None:
    """Frames that determine the embeddings are mapped onto them, in batches or at once."""
    answer = ids([list(range(6)), list(range(6, TOKENS))])
    inputs, true = torch.randn(TOKENS, WIDTH), nn.Linear(WIDTH, HIDDEN)
    table = true(inputs).detach()
    frames = Padded.stack([inputs[:6], inputs[6:]])

    linear = fitted(frames, answer, table)

    torch.testing.assert_close(linear(inputs), table, rtol=1e-4, atol=1e-4)


def test_frames_are_aligned_uniformly_and_outputs_spread_like_embeddings() -> None:
    """Noise says nothing of the tokens; what comes out has the mean and the spread of the embeddings."""
    answer = ids([[1, 2, 3]] * 4)
    frames = Padded.stack([torch.randn(12, WIDTH) for _ in range(4)])
    table = torch.randn(TOKENS, HIDDEN)

    outputs = fitted(frames, answer, table)(frames.values.flatten(0, 1))

    targets = table[[1, 2, 3]]  # each of them four frames long
    torch.testing.assert_close(outputs.mean(0), targets.mean(0), rtol=1e-4, atol=1e-4)
    assert outputs.var(0, correction=0).sum().item() == pytest.approx(
        targets.var(0, correction=0).sum().item(), rel=1e-3
    )


def test_without_a_frame_or_a_token_nothing_changes() -> None:
    """Rows without either are left out."""
    frames = Padded.stack([torch.zeros(0, WIDTH), torch.ones(2, WIDTH)])
    ridge, linear = Ridge(), nn.Linear(WIDTH, HIDDEN)
    before = linear.weight.clone()

    ridge.add(frames, ids([[1], []]), lambda tokens: torch.zeros(len(tokens), HIDDEN))
    ridge.solve_into(linear)

    assert torch.equal(linear.weight, before)
