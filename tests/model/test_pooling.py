"""Pooling keeps to its length and width laws, and padding never enters a maximum, a mean or a stack."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.data.padded import Padded, Pooled
from steermoe_core.model.config import PoolConfig
from steermoe_core.model.pooling import pool, pooled_length, pooled_width

WIDTH = 3
KINDS = ("avg", "max", "stack", "none")
configs = st.builds(PoolConfig, kind=st.sampled_from(KINDS), kernel=st.integers(1, 7))
batches = st.lists(st.integers(0, 20), min_size=1, max_size=4)


def frames_of(lengths: list[int], padding: float, seed: int = 0) -> Padded:
    """Return random frames below zero with a padding that would be seen in every result."""
    generator = torch.Generator().manual_seed(seed)
    rows = [-torch.rand(length, WIDTH, generator=generator) - 1 for length in lengths]
    return Padded.stack([*rows, torch.zeros(max(lengths) + 2, WIDTH)], fill=padding)


def naive(config: PoolConfig, row: torch.Tensor) -> torch.Tensor:
    """Pool one clip (T,D) window by window."""
    if config.kind == "none":
        return row
    windows = [row[start : start + config.kernel] for start in range(0, len(row), config.kernel)]
    missing = {id(w): torch.zeros(config.kernel - len(w), WIDTH) for w in windows}
    how = {
        "avg": lambda w: w.mean(0),
        "max": lambda w: w.amax(0),
        "stack": lambda w: torch.cat([w, missing[id(w)]]).flatten(),
    }[config.kind]
    return torch.stack([how(w) for w in windows]) if windows else torch.zeros(0, pooled_width(config, WIDTH))


@given(configs, batches, st.sampled_from([0.0, 1e6, float("nan"), float("inf")]))
@settings(deadline=None)
def test_equals_pooling_each_clip_alone(config: PoolConfig, lengths: list[int], padding: float) -> None:
    """Every row is its clip's own windows, whatever the other rows and the padding are."""
    frames = frames_of(lengths, padding)

    pooled = pool(config, frames)

    assert pooled.lengths.tolist()[:-1] == [pooled_length(config, length) for length in lengths]
    assert pooled.values.shape[2] == pooled_width(config, WIDTH)
    for given_row, found in zip(frames.rows(), pooled.rows(), strict=True):
        torch.testing.assert_close(found, naive(config, given_row), rtol=1e-5, atol=1e-6)


@given(configs, st.lists(st.integers(1, 70), min_size=2, max_size=4), st.sampled_from([1, 12, 384]))
@settings(deadline=None)
def test_a_clip_alone_has_the_same_bits(config: PoolConfig, lengths: list[int], width: int) -> None:
    """Frames may be pooled one clip after the other and kept."""
    frames = Padded.stack([torch.randn(length, width) for length in lengths])

    for row, found in zip(frames.rows(), pool(config, frames).rows(), strict=True):
        assert pool(config, Padded.stack([row])).rows()[0].equal(found)


@given(configs)
def test_pooled_frames_are_not_pooled_again(config: PoolConfig) -> None:
    """They come from disk."""
    frames = Pooled.stack([torch.randn(5, 3), torch.randn(2, 3)])

    assert pool(config, frames.zeroed()).values.equal(frames.values)


@given(configs, st.integers(0, 40))
def test_length_law(config: PoolConfig, frames: int) -> None:
    """A last, partly filled window counts: ceil(T / kernel)."""
    expected = frames if config.kind == "none" else len(range(0, frames, config.kernel))

    assert pooled_length(config, frames) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_and_none_goes_to_padding(kind: str) -> None:
    """A window of padding alone passes no gradient and no NaN."""
    values = frames_of([5, 1], padding=3.0).values.requires_grad_()
    frames = Padded(values, torch.tensor([5, 1, 4]))

    pooled = pool(PoolConfig(kind=kind, kernel=2), frames)
    torch.cat(pooled.rows()).sum().backward()

    assert values.grad is not None
    assert values.grad.isfinite().all()
    assert not values.grad[~frames.mask].any()
    assert values.grad[frames.mask].any()


def test_only_stacking_changes_the_width() -> None:
    """A stack is `kernel` frames wide."""
    assert [pooled_width(PoolConfig(kind=kind, kernel=4), 10) for kind in KINDS] == [10, 10, 40, 10]
