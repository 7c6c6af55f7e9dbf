"""The sentences that are synthesised."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

from steermoe_pocket.sentences import divided, sentences
from steermoe_pocket.text import part, spelled


def test_the_same_seed_writes_the_same_sentences() -> None:
    """Another seed writes others."""
    assert list(islice(sentences(3), 50)) == list(islice(sentences(3), 50))
    assert list(islice(sentences(3), 50)) != list(islice(sentences(4), 50))


def test_sentences_are_in_normal_form() -> None:
    """Words only, numbers spelled: what is heard is what is written."""
    for sentence in islice(sentences(5), 500):
        assert re.fullmatch(r"[a-z']+( [a-z']+)*", sentence), sentence
        assert spelled(sentence) == sentence


def test_most_sentences_are_for_training_and_some_are_held_out() -> None:
    """A test of 100 clips comes with an hour and a half of speech (about 2,000 sentences)."""
    count = Counter(part(sentence) for sentence in islice(sentences(17), 2000))
    assert 95 <= count["test"] <= 105
    assert 35 <= count["dev"] <= 45


def test_long_sentences_come_once() -> None:
    """Short ones, like numbers and letters, may come again."""
    texts = ["one two three", "one two three", "four", "four"]
    assert list(divided(texts)) == ["one two three", "four", "four"]


def test_the_vocabulary_is_broad() -> None:
    """Common words, not only the telephone's."""
    words = {word for sentence in islice(sentences(17), 2000) for word in sentence.split()}
    assert len(words) > 1500
