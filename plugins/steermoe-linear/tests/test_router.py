"""The linear router: gates are the map's output, of any size and sign, and nothing breaks on that."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
import torch

from steermoe_linear.config import LinearRouterConfig
from steermoe_linear.router import LinearRouter
from tests.parts import TinyConfig, TinyEncoder, noise, router, steering
from tests.rig import texts, trained

if TYPE_CHECKING:
    from tests.rig import Rig

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def build(**settings: float) -> LinearRouter:
    """Return a router of three layers with four experts."""
    torch.manual_seed(0)
    return LinearRouter(LinearRouterConfig(**settings), 6, 4, 3)


def test_gates_are_the_map() -> None:
    """G = W[l] u + b[l], number by number; some are negative and they do not add up to 1."""
    built, hidden = build(), torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))

    for row in range(3):
        gates = built(hidden, row)
        for frame, found in zip(hidden.flatten(0, 1), gates.flatten(0, 1), strict=True):
            expected = [
                sum(w * x for w, x in zip(weights, frame.tolist(), strict=True)) + bias
                for weights, bias in zip(built.weight[row].tolist(), built.bias[row].tolist(), strict=True)
            ]
            torch.testing.assert_close(found, torch.tensor(expected), **CLOSE)
        assert (gates < 0).any()


def test_steered_frames_are_a_low_rank_map() -> None:
    """U + scale · Vᵀ(W u + b): what is added has the rank of the experts."""
    encoder = TinyEncoder(TinyConfig())
    adapter = steering(encoder, router=router("linear"), experts=2)
    frames = encoder.features([noise(2.0)])
    seen = {}
    encoder(frames, seen.setdefault)

    shift = adapter.tap(1, seen[1]).values - seen[1].values

    assert torch.linalg.matrix_rank(shift[0], rtol=1e-4).item() == 2


def test_jitter_belongs_to_training() -> None:
    """As with every router that has the setting."""
    built, hidden = build(jitter=0.3), torch.randn(1, 4, 6)

    assert not torch.equal(built(hidden, 0), built(hidden, 0))
    built.eval()
    assert torch.equal(built(hidden, 0), built(hidden, 0))
    with pytest.raises(ValueError, match="jitter"):
        LinearRouterConfig(jitter=-0.1)


def test_a_run_trains_scores_and_watches(rig: Rig) -> None:
    """The whole way, with the balance loss; figures of the gates are sound numbers."""
    run = rig.run('adapter.router={use="linear", jitter=0.1}', "adapter.balance=0.1")

    assert texts(run)
    assert trained(run) != trained(rig.run())
    scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())
    for layer in scores["steering"]:
        assert all(math.isfinite(layer[name]) for name in ("entropy", "usage_entropy", "relative_norm"))
        assert 1.0 <= layer["effective"] <= 3.0
        assert sum(layer["load"]) == pytest.approx(1.0, abs=1e-4)
        assert min(layer["load"]) >= 0.0
