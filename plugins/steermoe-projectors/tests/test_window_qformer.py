"""The window Q-former: every window of frames is read by itself, in order."""

from __future__ import annotations

import pytest
import torch

from steermoe_core import Padded
from steermoe_projectors.config import WindowQFormerConfig
from steermoe_projectors.window_qformer import WindowQFormer
from tests.parts import decoder

WIDTH = 6


@pytest.fixture(scope="module")
def qformer(decoder_folder):
    """Return a Q-former with two tokens for each window of four frames."""
    torch.manual_seed(0)
    settings = WindowQFormerConfig(window=4, queries=2, width=8, heads=2)
    return WindowQFormer(settings, WIDTH, decoder(decoder_folder)).eval()


def frames(*lengths, seed=0):
    """Return random frames."""
    generator = torch.Generator().manual_seed(seed)
    return Padded.stack([torch.randn(length, WIDTH, generator=generator) for length in lengths])


@torch.no_grad()
def audio(qformer, given):
    """Return the audio tokens of the first clip."""
    return qformer(given)[0].rows()[0]


@pytest.mark.parametrize(("length", "tokens"), [(1, 2), (4, 2), (5, 4), (12, 6)])
def test_every_window_has_its_tokens(qformer, length, tokens):
    assert len(audio(qformer, frames(length))) == qformer.tokens(length) == tokens


def test_a_window_sees_no_other(qformer):
    given, changed = frames(12), frames(12)
    changed.values[0, 5] += 1.0

    moved = (audio(qformer, given) != audio(qformer, changed)).any(1)

    assert moved.tolist() == [False, False, True, True, False, False]


def test_the_order_inside_a_window_matters(qformer):
    given = frames(4)
    turned = Padded(given.values.flip(1), given.lengths)

    assert not torch.allclose(audio(qformer, given), audio(qformer, turned), atol=1e-4)


def test_windows_of_padding_leave_gradients_finite(qformer):
    given = frames(1, 12)
    given.values.requires_grad_()

    qformer(given)[0].zeroed().values.sum().backward()

    assert given.values.grad.isfinite().all()
    assert not given.values.grad[0, 1:].any()
