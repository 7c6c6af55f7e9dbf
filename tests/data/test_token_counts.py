"""Many texts at once have the tokens that each has alone."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.token_counts import identity, tokenised
from tests.tiny import DIGITS, tokenizer

WORDS = tokenizer()


class Slow:
    """A tokenizer that is Python, with a fast one that it prepares texts for."""

    def __init__(self, *, fast: bool) -> None:
        if fast:
            self.backend_tokenizer = WORDS.backend_tokenizer

    def __call__(self, texts: Any, **_: Any) -> dict[str, Any]:
        rows = [[len(text), 7] for text in ([texts] if isinstance(texts, str) else texts)]
        return {"input_ids": rows[0] if isinstance(texts, str) else rows}


@given(st.lists(st.lists(st.sampled_from([*DIGITS, "unknown", "<eos>", "  "])).map(" ".join)))
def test_as_alone(texts: list[str]) -> None:
    """An empty text has none."""
    alone = [WORDS(text, add_special_tokens=False)["input_ids"] if text else [] for text in texts]

    assert list(tokenised(WORDS, texts)) == alone


def test_padding_that_was_set_before_adds_nothing() -> None:
    """A fast tokenizer remembers how it was used last."""
    padding = tokenizer()
    padding.pad_token = padding.eos_token
    padding(["one two three", "one"], padding=True, truncation=True, max_length=2)

    assert [len(tokens) for tokens in tokenised(padding, ["one", "one two three"])] == [1, 3]


@pytest.mark.parametrize("fast", [True, False])
def test_a_tokenizer_that_does_more(fast: bool) -> None:  # noqa: FBT001 - a parameter
    """What it does to texts is not left out."""
    assert list(tokenised(Slow(fast=fast), ["one", "", "three"])) == [[3, 7], [], [5, 7]]


def test_an_identity() -> None:
    """It changes with the words, and there is none where it cannot be told."""
    other = tokenizer()
    assert identity(other) == identity(WORDS)
    other.add_tokens(["unheard"])

    assert identity(other) != identity(WORDS)
    assert identity(Slow(fast=False)) == ""


def test_processes_that_are_forked_afterwards_have_their_peace() -> None:
    """The tokenizer would warn of each of them if nothing were set."""
    tokenised(WORDS, ["one", "two"])

    assert "TOKENIZERS_PARALLELISM" in os.environ
