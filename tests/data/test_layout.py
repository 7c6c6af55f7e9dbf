"""A template cut at its audio, and a batch taken apart."""

from __future__ import annotations

import pytest
import torch

from steermoe_core.data.layout import Batch, Layout, ids
from steermoe_core.data.padded import Padded


@pytest.mark.parametrize(
    ("template", "before", "after", "has_prompt"),
    [
        ("{audio}{prompt}", "", "say {it}", True),
        ("Q: {prompt} {audio} A:", "Q: say {it} ", " A:", True),
        ("{audio}", "", "", False),
    ],
)
def test_a_prompt_fills_its_slot(template: str, before: str, after: str, has_prompt: bool) -> None:  # noqa: FBT001
    """On its side of the audio; braces in the prompt are text."""
    layout = Layout.parse(template)

    assert layout.fill("say {it}") == (before, after)
    assert layout.has_prompt is has_prompt


@pytest.fixture
def batch() -> Batch:
    """Return a batch of two clips of unequal length."""
    return Batch(
        ids=("a", "b"),
        features=Padded.stack([torch.ones(3, 2), torch.ones(5, 2)]),
        before=ids([[7, 8, 9], [7, 8]]),
        after=ids([[], []]),
        answer=ids([[1, 0], [1, 2, 3, 0]]),
        seconds=torch.tensor([0.3, 0.5]),
        ends=(2,),
        shared=2,
    )


def test_a_row_is_a_batch_of_one(batch: Batch) -> None:
    """With its own lengths; what belongs to the whole batch stays."""
    row = batch.row(1)

    assert (len(row), row.ids, row.ends, row.shared) == (1, ("b",), (2,), 2)
    assert row.seconds.tolist() == [0.5]
    assert [part.lengths.tolist() for part in (row.features, row.before, row.after, row.answer)] == [
        [5], [2], [0], [4],
    ]  # fmt: skip
    assert row.answer.rows()[0].tolist() == [1, 2, 3, 0]


def test_tokens_that_all_rows_begin_with(batch: Batch) -> None:
    """Only as many as are shared."""
    assert batch.shared_before() == [7, 8]


def test_only_features_change_their_type(batch: Batch) -> None:
    """Token ids stay whole numbers."""
    moved = batch.to("cpu", torch.bfloat16)

    assert moved.features.values.dtype == torch.bfloat16
    assert {part.values.dtype for part in (moved.before, moved.after, moved.answer)} == {torch.int64}
    assert moved.seconds.dtype == torch.float32
