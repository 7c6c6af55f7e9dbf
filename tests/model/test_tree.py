"""Answers as a tree: one pass gives what a row for each answer gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.data.layout import ids
from steermoe_core.data.padded import Padded
from steermoe_core.model.tree import ROOT, Tree, additive
from tests.parts import batch, joined

if TYPE_CHECKING:
    from steermoe_core.model.joined import Joined

TOKENS = st.lists(st.integers(2, 9), max_size=6)
ANSWERS = st.lists(TOKENS, min_size=2, max_size=8, unique_by=tuple)


@given(ANSWERS)
def test_paths_are_the_answers(answers: list[list[int]]) -> None:
    """Each beginning is one node; parents come before their children."""
    tree = Tree.of(answers)

    assert [[tree.tokens[node] for node in path] for path in tree.paths] == answers
    assert len(tree.tokens) == len({tuple(a[: n + 1]) for a in answers for n in range(len(a))})
    assert all(parent < node for node, parent in enumerate(tree.parents))
    for path in tree.paths:
        assert [tree.depths()[node] for node in path] == list(range(len(path)))
        assert [tree.parents[node] for node in path] == [ROOT, *path][: len(path)]


@given(ANSWERS, st.integers(1, 4))
def test_a_position_sees_what_leads_to_it(answers: list[list[int]], before: int) -> None:
    """What is before the answers, as in a row, and of the tree its own answer up to itself."""
    tree = Tree.of(answers)
    seen = tree.seen(before)

    assert torch.equal(seen[:before, :before], torch.ones(before, before).tril().bool())
    assert not seen[:before, before:].any()
    assert seen[before:, :before].all()
    for path in tree.paths:
        for depth, node in enumerate(path):
            assert seen[before + node, before:].nonzero().squeeze(-1).tolist() == path[: depth + 1]


def test_the_mask_hides_what_is_not_seen() -> None:
    """Positions of the prefix are seen by all."""
    mask = additive(torch.tensor([[True, False], [True, True]]), 2, torch.zeros(1, dtype=torch.bfloat16))

    assert mask.dtype == torch.bfloat16
    assert (mask == 0).tolist() == [[[[True, True, True, False], [True, True, True, True]]]]
    assert mask.min() == torch.finfo(torch.bfloat16).min


@pytest.fixture(scope="module")
def model(decoder_folder: str) -> Joined:
    """Return a whole tiny model."""
    return joined(decoder_folder).eval()


@settings(max_examples=25)
@given(answers=ANSWERS, prefixed=st.booleans())
@torch.no_grad()
def test_a_tree_gives_the_losses_of_rows(model: Joined, answers: list[list[int]], *, prefixed: bool) -> None:
    """With what all rows share as a prefix, or in the row."""
    model.prefixed = prefixed
    row = replace(batch(model.encoder).row(0), ends=(1,))
    audio = model.audio(row.features)
    expected = [
        model.answer_losses(replace(row, answer=ids([[*answer, 1]])), audio).sum() for answer in answers
    ]

    assert model.branching
    found = model.branch_losses(row, Padded.stack([audio.rows()[0]]), answers)

    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-5, atol=1e-5)


def test_a_decoder_that_is_adapted_or_has_windows_takes_rows(model: Joined) -> None:
    """Adapters and windows see positions in the order of the row."""
    config = model.decoder.model.config
    config.layer_types = ["sliding_attention"]
    assert not model.branching
    del config.layer_types
    assert model.branching
    model.decoder_adapter = model.adapter
    assert not model.branching
    model.decoder_adapter = None
