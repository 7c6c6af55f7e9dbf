"""Integrate-and-fire: where tokens end, how many there are, and the loss that trains their number."""

from __future__ import annotations

import pytest
import torch

from steermoe_core import Padded, PoolConfig
from steermoe_projectors.cif import CifProjector
from steermoe_projectors.config import CifConfig
from tests.parts import decoder
from tests.rig import metrics, texts

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def build(decoder_folder):
    """Return a function that builds a projector from settings."""

    def built(**settings):
        torch.manual_seed(0)
        return CifProjector(CifConfig(**settings), 6, decoder(decoder_folder))

    return built


def frames(*lengths):
    """Return clips of random frames, with a padding that is not zero."""
    generator = torch.Generator().manual_seed(1)
    return Padded.stack([torch.randn(length, 6, generator=generator) for length in lengths], fill=9.0)


def answer(*lengths):
    """Return answers of some numbers of tokens."""
    return Padded.stack([torch.full((length,), 3) for length in lengths])


def weighed(projector, *weights):
    """Give the frames of one clip these weights."""
    projector._weights = lambda _: torch.tensor([weights])
    return frames(len(weights))


def test_a_frame_between_two_tokens_gives_to_both(build):
    projector = build()
    given = weighed(projector, 0.5, 0.7, 0.8)
    x = given.values[0]

    found = projector(given)[0]

    expected = torch.stack([0.5 * x[0] + 0.5 * x[1], 0.2 * x[1] + 0.8 * x[2]])
    torch.testing.assert_close(found.values[0], projector.map(expected), **CLOSE)


@pytest.mark.parametrize(("last", "tokens"), [(0.4, 1), (0.6, 2)])
def test_a_rest_of_half_a_token_is_one(build, last, tokens):
    projector = build()
    given = weighed(projector, 0.9, 0.1, last)

    found = projector(given)[0]

    assert found.lengths.tolist() == [tokens]
    if tokens == 2:  # the mean of its frames, although its weights sum to less than 1
        torch.testing.assert_close(found.values[0, 1], projector.map(given.values[0, 2]), **CLOSE)


def test_in_training_there_are_as_many_tokens_as_the_answer_has(build):
    found = build()(frames(9, 20, 4), answer(3, 7, 1))[0]

    assert found.lengths.tolist() == [3, 7, 1]


def test_there_are_never_more_tokens_than_frames(build):
    projector = build(pool=PoolConfig(kernel=2))

    assert projector(frames(5), answer(9))[0].lengths.tolist() == [projector.tokens(5)] == [3]


def test_quantity_is_the_difference_for_each_answer_token(build):
    projector = build(quantity=2.0)
    projector(weighed(projector, 0.5, 0.7, 0.8, 0.6), answer(2))

    assert projector.losses()["quantity"].item() == pytest.approx(2.0 * 0.6 / 3)  # two tokens and EOS


def test_quantity_trains_the_weights(build):
    """A step against it brings the number of tokens nearer to that of the answer."""
    projector, given, wanted = build(), frames(20), answer(3)
    optimizer = torch.optim.SGD(projector.parameters(), lr=0.05)
    before = projector(given)[0].lengths.item()
    for _ in range(100):
        projector(given, wanted)
        optimizer.zero_grad()
        projector.losses()["quantity"].backward()
        optimizer.step()

    assert before > 3
    assert projector(given)[0].lengths.tolist() == [3]


def test_there_is_none_without_weight_or_answers(build):
    projector = build(quantity=0.0)
    projector(frames(5), answer(2))
    assert projector.losses() == {}

    projector = build()
    projector(frames(5))
    assert projector.losses() == {}


def test_a_run_trains_scores_and_logs_its_quantity(rig):
    run = rig.run('projector={use="cif"}')

    assert len(texts(run)) == 4
    assert all(set(line["losses"]) == {"quantity"} for line in metrics(run))
