"""Padded values keep their lengths, whatever lies in the padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.padded import Padded

lengths = st.lists(st.integers(0, 6), min_size=1, max_size=5)
widths = st.lists(st.integers(1, 3), max_size=2)


def rows_of(lengths: list[int], width: list[int]) -> list[torch.Tensor]:
    """Return one random row for each length."""
    return [torch.randn(length, *width) for length in lengths]


@given(lengths, widths)
def test_rows_undo_stack(lengths: list[int], width: list[int]) -> None:
    """What is stacked comes back, a batch of one and rows of length zero included."""
    rows = rows_of(lengths, width)

    padded = Padded.stack(rows)

    assert len(padded) == len(rows)
    assert padded.values.shape == (len(rows), max(lengths), *width)
    assert all(torch.equal(row, back) for row, back in zip(rows, padded.rows(), strict=True))


@given(lengths)
def test_mask_counts_lengths(lengths: list[int]) -> None:
    """The mask is True on the first positions of each row and nowhere else."""
    padded = Padded.stack(rows_of(lengths, []))

    assert padded.mask.sum(dim=1).tolist() == lengths
    assert padded.mask.int().diff(dim=1).le(0).all()


@given(lengths, widths)
def test_zeroed_clears_padding_only(lengths: list[int], width: list[int]) -> None:
    """Padding becomes zero even where it was not a number; rows stay as they are."""
    padded = Padded.stack(rows_of(lengths, width), fill=float("nan"))

    clean = padded.zeroed()

    assert torch.isfinite(clean.values).all()
    assert (clean.values[~clean.mask] == 0).all()
    assert all(torch.equal(a, b) for a, b in zip(padded.rows(), clean.rows(), strict=True))


@given(lengths)
def test_fill_is_the_padding(lengths: list[int]) -> None:
    """Integer rows keep their type and are padded with what is asked for."""
    padded = Padded.stack([torch.ones(length, dtype=torch.int64) for length in lengths], fill=-100)

    assert padded.values.dtype == torch.int64
    assert (padded.values[~padded.mask] == -100).all()


def test_gradients_reach_rows_and_not_padding() -> None:
    """Zeroing cuts what flows back into padding, also where it is not finite."""
    values = torch.tensor([[1.0, float("inf")], [2.0, 3.0]], requires_grad=True)

    Padded(values, torch.tensor([1, 2])).zeroed().values.square().sum().backward()  # type: ignore[no-untyped-call]

    assert values.grad is not None
    assert values.grad.tolist() == [[2.0, 0.0], [4.0, 6.0]]


def test_to_changes_floats_and_leaves_ids() -> None:
    """A batch in bfloat16 keeps its token ids whole."""
    ids = Padded(torch.tensor([[70_001]]), torch.tensor([1])).to("cpu", torch.bfloat16)
    frames = Padded(torch.ones(1, 1), torch.tensor([1])).to("cpu", torch.bfloat16)

    assert ids.values.tolist() == [[70_001]]
    assert frames.values.dtype == torch.bfloat16
    assert frames.lengths.dtype == torch.int64


@pytest.mark.parametrize(
    ("values", "lengths", "complaint"),
    [
        (torch.ones(2, 3), torch.tensor([1]), "do not fit"),
        (torch.ones(2), torch.tensor([1, 1]), "do not fit"),
        (torch.ones(1, 3), torch.tensor([1.0]), "int64"),
    ],
)
def test_what_does_not_fit_is_refused(values: torch.Tensor, lengths: torch.Tensor, complaint: str) -> None:
    """Lengths are one whole number a row."""
    with pytest.raises(ValueError, match=complaint):
        Padded(values, lengths)


def test_stack_refuses_nothing_and_unlike_rows() -> None:
    """There is no batch of no rows, and none of rows of other widths."""
    with pytest.raises(ValueError, match="no row"):
        Padded.stack([])
    with pytest.raises(ValueError, match="more than their length"):
        Padded.stack([torch.ones(2, 3), torch.ones(2, 4)])
