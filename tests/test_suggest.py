"""Did-you-mean: near words are found whatever their case and separators, far ones are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.suggest import closest, did_you_mean

KNOWN = ["causal-lm", "linear", "whisper"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [("whispr", "whisper"), ("Causal_LM", "causal-lm"), ("liner", "linear"), ("zzz", None), ("", None)],
)
def test_closest(word: str, meant: str | None) -> None:
    """One or two wrong letters are forgiven, a guess is not made."""
    assert closest(word, KNOWN) == meant


def test_text_for_messages() -> None:
    """It fits behind a message, and is nothing where there is nothing to say."""
    assert did_you_mean("whispr", KNOWN) == '; did you mean "whisper"?'
    assert did_you_mean("zzz", KNOWN) == ""


@given(st.sampled_from(KNOWN), st.booleans())
def test_a_known_word_is_closest_to_itself(word: str, upper: bool) -> None:  # noqa: FBT001
    """Case counts for nothing."""
    assert closest(word.upper() if upper else word, KNOWN) == word
