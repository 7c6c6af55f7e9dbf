"""The cosine router: gates depend on directions alone, and the temperature learns."""

from __future__ import annotations

import math

import pytest
import torch
from steermoe_cosine.config import CosineConfig
from steermoe_cosine.router import CosineRouter

WIDTH, EXPERTS, LAYERS = 6, 4, 3


def build(**settings):
    torch.manual_seed(0)
    return CosineRouter(CosineConfig(**settings), WIDTH, EXPERTS, LAYERS)


def test_gates_are_a_softmax_of_cosines():
    """Number by number."""
    router, frame = build(temperature=0.5), torch.randn(WIDTH)

    gates = router(frame[None, None], 1)[0, 0]

    norms = router.directions[1].norm(dim=-1) * frame.norm()
    powers = [math.exp(cosine / 0.5) for cosine in (router.directions[1] @ frame / norms).tolist()]
    torch.testing.assert_close(gates, torch.tensor([power / sum(powers) for power in powers]))


def test_loudness_is_of_no_account():
    """A frame and its multiple have the same gates."""
    router, frames = build(), torch.randn(2, 5, WIDTH)

    torch.testing.assert_close(router(frames, 0), router(100 * frames, 0))


def test_a_silent_frame_has_even_gates():
    """Zeros have no direction; the gates are numbers all the same."""
    gates = build()(torch.zeros(1, 1, WIDTH), 2)

    torch.testing.assert_close(gates, torch.full((1, 1, EXPERTS), 1 / EXPERTS))


def test_the_temperature_is_trained_and_stays_positive():
    """It has a gradient, and a step as large as one likes leaves it above zero."""
    router = build(temperature=0.1)
    router(torch.randn(2, 5, WIDTH), 0)[..., 0].sum().backward()

    slope = router.log_temperatures.grad
    assert slope[0] != 0
    assert slope[1:].tolist() == [0.0, 0.0]
    assert (router.log_temperatures - 50).exp().min() > 0


def test_a_temperature_of_zero_is_refused():
    """It would divide by zero."""
    with pytest.raises(ValueError, match="temperature"):
        CosineConfig(temperature=0.0)
