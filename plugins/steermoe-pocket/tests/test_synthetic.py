"""Sentences and their synthetic voice."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.split import normalise_text
from steermoe_pocket import synthetic
from steermoe_pocket.clips import RATE


@given(st.lists(st.sampled_from(["a", "b", "press", "o'clock"]), min_size=1), st.integers(0, 99))
def test_what_is_read_aloud_is_the_sentence(words: list[str], seed: int) -> None:
    """Capitals, pauses and the end are signs only."""
    sentence = " ".join(words)
    assert normalise_text(synthetic.written(sentence, random.Random(seed))) == sentence


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [("at ten a m", "At ten A M"), ("press a key", "Press a key"), ("i see b", "I see B")],
)
def test_letters_are_capitals_and_articles_are_not(sentence: str, shown: str) -> None:
    """The voice reads capitals by their names."""
    written = {synthetic.written(sentence, random.Random(seed)).strip(".!") for seed in range(20)}
    assert shown in written


def test_the_voice_is_repeatable() -> None:
    """The same seed and index speak the same samples; another index speaks at another pace."""
    first = synthetic.speak(3, "please press nine", "12")
    assert np.array_equal(first, synthetic.speak(3, "please press nine", "12"))
    assert len(first) != len(synthetic.speak(3, "please press nine", "13"))
    assert first.dtype == np.float32
    assert 0.5 * RATE < len(first) < 4 * RATE
    assert 0.05 < np.abs(first).max() <= 1
