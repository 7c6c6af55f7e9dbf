"""The mixture: the formula frame by frame, and the balance of its router."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core import Padded, PoolConfig
from steermoe_projectors.config import MixtureConfig
from steermoe_projectors.mixture import MixtureProjector
from tests.parts import decoder
from tests.rig import metrics

NONE = PoolConfig(kind="none")
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
ANSWER = Padded(torch.tensor([[2, 3], [4, 0]]), torch.tensor([2, 1]))


@pytest.fixture
def build(decoder_folder):
    """Return a function that builds a mixture of three adapters from settings."""

    def built(**settings):
        torch.manual_seed(0)
        config = MixtureConfig(**{"pool": NONE, "experts": 3, "hidden": 4, **settings})
        projector = MixtureProjector(config, 6, decoder(decoder_folder))
        torch.nn.init.normal_(projector.bias)
        return projector

    return built


def frames():
    """Return two clips of other lengths, with a padding that is not zero."""
    generator = torch.Generator().manual_seed(1)
    return Padded.stack([torch.randn(length, 6, generator=generator) for length in (5, 3)], fill=9.0)


def test_computes_the_formula(build):
    projector, given = build(), frames()
    first, second = projector.inner.weight.split(4), projector.outer.weight.split(4, dim=1)

    found = projector(given)[0]

    for x, audio in zip(given.values.flatten(0, 1), found.values.flatten(0, 1), strict=True):
        gates = projector.router(x).softmax(-1)
        adapted = [
            second[e] @ F.gelu(first[e] @ x + projector.inner.bias[4 * e : 4 * e + 4]) + projector.bias[e]
            for e in range(3)
        ]
        torch.testing.assert_close(
            audio, sum(g * one for g, one in zip(gates, adapted, strict=True)), **CLOSE
        )


def test_the_balance_loss_is_that_of_the_valid_frames(build):
    projector, given = build(balance=0.5), frames()
    projector(given, ANSWER)

    usage = torch.cat([projector.router(row).softmax(-1) for row in given.rows()]).mean(0)
    expected = 0.5 * (usage * (usage * 3).log()).sum()

    torch.testing.assert_close(projector.losses()["mixture-balance"], expected, **CLOSE)


def test_equal_gates_are_balanced(build):
    projector = build(balance=1.0)
    torch.nn.init.zeros_(projector.router.weight)
    torch.nn.init.zeros_(projector.router.bias)
    projector(frames(), ANSWER)

    assert projector.losses()["mixture-balance"].item() == pytest.approx(0.0, abs=1e-6)


def test_there_is_none_without_weight_or_answers(build):
    projector = build(balance=0.0)
    projector(frames(), ANSWER)
    assert projector.losses() == {}

    projector = build()
    projector(frames())
    assert projector.losses() == {}


def test_a_run_logs_its_balance(rig):
    run = rig.run('projector={use="mixture", hidden=8, balance=0.5}')

    lines = metrics(run)
    assert all(set(line["losses"]) == {"mixture-balance"} for line in lines)
    assert all(0 <= line["losses"]["mixture-balance"] < line["loss"] for line in lines)
