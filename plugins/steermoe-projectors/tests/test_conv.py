"""Convolutions: their number of tokens, and what each token sees."""

from __future__ import annotations

import pytest
import torch

from steermoe_core import Padded
from steermoe_projectors.config import ConvConfig
from steermoe_projectors.conv import ConvProjector
from tests.parts import decoder


@pytest.fixture
def build(decoder_folder):
    """Return a function that builds a projector from settings."""

    def built(**settings):
        torch.manual_seed(0)
        return ConvProjector(ConvConfig(**settings), 6, decoder(decoder_folder)).eval()

    return built


def clip(length):
    """Return a clip of random frames."""
    values = torch.randn(1, length, 6, generator=torch.Generator().manual_seed(1))
    return Padded(values, torch.tensor([length]))


@pytest.mark.parametrize(("settings", "law"), [
    ({}, {1: 1, 2: 1, 4: 1, 5: 2, 16: 4, 17: 5}),
    ({"layers": 1, "kernel": 5, "stride": 3}, {1: 1, 3: 1, 4: 2, 9: 3}),
    ({"layers": 3, "stride": 1}, {1: 1, 7: 7}),
])  # fmt: skip
def test_the_number_of_tokens_is_rounded_up_after_each_layer(build, settings, law):
    projector = build(**settings)

    for length, tokens in law.items():
        assert projector.tokens(length) == tokens
        assert projector(clip(length))[0].lengths.tolist() == [tokens]


def test_a_token_sees_the_frames_of_its_kernels(build):
    projector, given = build(layers=2, kernel=3, stride=2), clip(16)
    given.values.requires_grad_()

    projector(given)[0].values[0, 1].sum().backward()

    # Token 1 reads outputs 1 to 3 of the first layer, and these read frames 1 to 7.
    assert given.values.grad[0].any(1).nonzero().flatten().tolist() == list(range(1, 8))


def test_channels_are_the_width_between(build):
    assert build(channels=10).map.in_features == 10
    assert build().map.in_features == 6
