"""N-best rescoring: what CTC proposes, and which of it the decoder chooses."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import groupby, product
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.data.layout import ids
from steermoe_core.data.padded import Padded
from steermoe_core.model.config import SoftCtcConfig
from steermoe_core.model.generate import Capacity, Questions, generate
from steermoe_core.model.nbest import Choice, Proposal, answer_all, prefix_beam_search
from steermoe_core.model.soft_ctc import SoftCtcProjector
from tests.parts import TinyConfig, TinyEncoder, batch, decoder, joined

if TYPE_CHECKING:
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined


def all_sequences(log_probabilities: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Return the probability of every label sequence: the sum over the paths that spell it."""
    frames, classes = log_probabilities.shape
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(classes), repeat=frames):
        labels = tuple(label for label, _ in groupby(path) if label)
        found[labels] += math.exp(sum(float(log_probabilities[t, label]) for t, label in enumerate(path)))
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 99))
def test_a_wide_beam_finds_every_sequence(frames: int, labels: int, seed: int) -> None:
    """With room for all prefixes, the sums are those over all paths."""
    generator = torch.Generator().manual_seed(seed)
    log_probabilities = torch.randn(frames, 1 + labels, generator=generator).mul(2).log_softmax(-1)
    expected = all_sequences(log_probabilities)

    found = prefix_beam_search(log_probabilities, 10_000)

    assert {tuple(sequence): value for sequence, value in found} == {
        labels: pytest.approx(math.log(value), abs=1e-4) for labels, value in expected.items()
    }
    assert [value for _, value in found] == sorted((value for _, value in found), reverse=True)


def test_a_beam_holds_as_many_as_are_wanted() -> None:
    """A narrow beam returns the most probable sequence here, and overrates nothing."""
    log_probabilities = torch.randn(6, 4, generator=torch.Generator().manual_seed(3)).mul(4).log_softmax(-1)
    expected = all_sequences(log_probabilities)

    found = prefix_beam_search(log_probabilities, 2)

    assert len(found) == 2
    assert tuple(found[0][0]) == max(expected, key=expected.__getitem__)
    assert all(value <= math.log(expected[tuple(sequence)]) + 1e-5 for sequence, value in found)


@pytest.fixture(scope="module")
def model(decoder_folder: str) -> Joined:
    """Return a whole tiny model with a CTC head."""
    encoder = TinyEncoder(TinyConfig())
    projector = SoftCtcProjector(SoftCtcConfig(), encoder.width, decoder(decoder_folder))
    projector.begin(iter([[2, 3, 5], [8], [5, 2]]), iter([]))
    return joined(decoder_folder, projector=projector, encoder=encoder).eval()


def rows(model: Joined, count: int) -> Batch:
    """Return rows of unequal length whose answers end with the token 1."""
    return replace(batch(model.encoder, seconds=(0.35, 1.2, 0.8)[:count]), ends=(1,))


PROPOSALS = [
    [Proposal([2, 3], -1.0), Proposal([2, 5], -1.1), Proposal([8], -3.0)],
    [Proposal([5], -0.5)],
    [],
]


def asked(model: Joined, weight: float) -> Choice:
    """Return three rows of unequal length with their proposals."""
    return Choice(rows(model, 3), [9, 9, 9], ["a", "b", "c"], proposals=PROPOSALS, weight=weight)


@pytest.mark.parametrize("weight", [0.0, 0.3, 50.0])
@torch.no_grad()
def test_the_best_sum_is_chosen(model: Joined, weight: float) -> None:
    """Each proposal is read alone here, together there."""
    choice = asked(model, weight)
    audio = model.audio(choice.batch.features)
    sums = []
    for proposal in PROPOSALS[0]:
        row = choice.batch.row(0)
        answered = replace(row, answer=ids([[*proposal.tokens, 1]]))
        loss = float(model.answer_losses(answered, Padded.stack([audio.rows()[0]])).sum())
        sums.append(proposal.log_probability - weight * loss)
    best = PROPOSALS[0][sums.index(max(sums))].tokens

    found = dict(answer_all(model, [choice], Capacity()))

    assert [found[key].ids for key in "abc"] == [best, [5], []]


@pytest.mark.parametrize(("empty", "expected"), [(-4.0, [8]), (-1.0, [8]), (-0.1, [8]), (0.0, [])], ids=str)
@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_nothing_was_said_only_if_ctc_is_sure(
    model: Joined, weight: float, empty: float, expected: list[int]
) -> None:
    """The decoder, which prefers short texts, is not asked about the empty one."""
    proposals = sorted([Proposal([], empty), Proposal([8], -3.0)], key=lambda one: -one.log_probability)
    choice = Choice(rows(model, 1), [9], ["a"], proposals=[proposals], weight=weight)

    found = dict(answer_all(model, [choice], Capacity()))

    assert found["a"].ids == expected


def test_a_choice_may_not_exceed_the_limit(model: Joined) -> None:
    """An answer as long as the limit is whole; a longer one is cut, and says so."""
    choice = asked(model, 0.0)
    found = dict(answer_all(model, [Choice(choice.batch, [2, 9, 9], "abc", proposals=PROPOSALS)], Capacity()))
    cut = dict(answer_all(model, [Choice(choice.batch, [1, 9, 9], "abc", proposals=PROPOSALS)], Capacity()))

    assert (found["a"].ids, found["a"].stop) == ([2, 3], "eos")
    assert (cut["a"].ids, cut["a"].stop) == ([2], "limit")


def test_questions_are_generated(model: Joined) -> None:
    """Without proposals, answers are those of `generate`."""
    asking = rows(model, 2)
    expected = generate(model, asking, [5, 5])

    found = dict(answer_all(model, [Questions(asking, [5, 5], [0, 1])], Capacity()))

    assert found == dict(enumerate(expected))


def test_the_head_proposes_what_its_frames_say(model: Joined) -> None:
    """Tokens are of the vocabulary; a row proposes the same alone and beside longer ones."""
    whole = rows(model, 3)
    proposals = model.projector.proposals(model.frames(whole.features), 8)
    alone = model.projector.proposals(model.frames(whole.row(0).features), 8)

    assert {token for row in proposals for one in row for token in one.tokens} <= {2, 3, 5, 8}
    assert [one.tokens for one in proposals[0]] == [one.tokens for one in alone[0]]
    assert len({tuple(one.tokens) for one in proposals[1]}) == len(proposals[1]) == 8
