"""The alignment that CTC finds likeliest, against all there are, and the one that attention shows."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.model.alignment import HEADS, LITTLE, attended, forced_alignment


def best_of_all(emissions: np.ndarray, tokens: list[int]) -> float:
    """Return the score of the best of all paths that spell the tokens; -inf if there is none."""
    columns = range(emissions.shape[1])
    scores = [-np.inf]
    for path in product(columns, repeat=len(emissions)):
        runs = [column for column, _ in groupby(path) if column]
        # Two runs of one id without a blank between them would be one.
        merged = any(a and b and a != b and tokens[a - 1] == tokens[b - 1] for a, b in zip(path, path[1:]))  # noqa: B905, RUF007
        if runs == list(columns)[1:] and not merged:
            scores.append(sum(emissions[frame, column] for frame, column in enumerate(path)))
    return max(scores)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(5, 6), min_size=1, max_size=3), st.integers(0, 9))
def test_finds_the_best_path(frames: int, tokens: list[int], seed: int) -> None:
    """Its spans are in order, and the blanks around them add up to the best score."""
    emissions = np.random.default_rng(seed).standard_normal((frames, 1 + len(tokens))).astype(np.float32)
    best = best_of_all(emissions, tokens)

    spans = forced_alignment(emissions, tokens)

    assert (spans is None) == (best == -np.inf)
    if spans is not None:
        columns = np.zeros(frames, int)
        for number, (start, end) in enumerate(spans, start=1):
            assert start < end
            assert not columns[start:].any()
            columns[start:end] = number
        assert emissions[np.arange(frames), columns].sum() == pytest.approx(best, abs=1e-5)


def test_too_few_frames() -> None:
    """Two equal tokens need a blank between them."""
    emissions = np.zeros((2, 3), np.float32)
    assert forced_alignment(emissions, [4, 4]) is None
    assert forced_alignment(emissions, [4, 5]) == [(0, 1), (1, 2)]


def test_tokens_that_cannot_be() -> None:
    """A token of probability 0 everywhere has no place."""
    emissions = np.zeros((4, 2), np.float32)
    emissions[:, 1] = -np.inf
    assert forced_alignment(emissions, [4]) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 9))
def test_attention_is_followed_without_a_step_back(tokens: int, audio: int, seed: int) -> None:
    """Of one head, the path that collects most of all that never step back."""
    weights = np.random.default_rng(seed).random((1, tokens, audio)).astype(np.float32)
    shares = weights / (weights.sum(2, keepdims=True) + LITTLE)
    shares -= shares.mean(1, keepdims=True)

    def collected(path: list[int]) -> float:
        return float(shares[0, np.arange(tokens), path].sum())

    found = attended(weights)

    assert found == sorted(found)
    paths = (list(path) for path in product(range(audio), repeat=tokens) if list(path) == sorted(path))
    assert collected(found) == pytest.approx(max(map(collected, paths)), abs=1e-3)


def test_the_heads_that_follow_the_sound_decide() -> None:
    """Not those that look at one place, or at random; nor those that hardly look at the audio."""
    chance = np.random.default_rng(0)
    weights = chance.random((40, 5, 20)).astype(np.float32) / 20
    weights[:20] = np.eye(20, dtype=np.float32)[3]
    weights[20:24] *= 1e-6
    weights[20:24, range(5), [19, 12, 8, 4, 1]] = 1e-5
    path = [2, 6, 9, 14, 17]
    weights[-HEADS:, range(5), path] += 0.3

    assert attended(weights) == path
