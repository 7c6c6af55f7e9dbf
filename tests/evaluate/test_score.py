"""A score comes with counts, its interval, and an open account of empty references."""

from __future__ import annotations

import json

import pytest

from steermoe_core.evaluate.config import WerConfig
from steermoe_core.evaluate.metrics import Edits, Wer
from steermoe_core.evaluate.score import score

WER = Wer(WerConfig())


def test_a_score_counts_everything() -> None:
    """Value, edits, examples and clusters belong together."""
    found = score(WER, ["one two", "x", ""], ["one three", "", "two two"], ["anna", "anna", None])

    assert found.metric == "wer"
    assert found.value == pytest.approx(4 / 4)
    assert found.edits == Edits(1, 2, 1, 4)
    assert (found.examples, found.clusters) == (3, 2)
    assert (found.empty_references, found.empty_insertions) == (1, 1)


def test_a_score_is_plain_json() -> None:
    """Nothing in it is a number that JSON does not know."""
    empty = score(WER, ["x"], [""]).as_json()
    usual = score(WER, ["one", "two"], ["one", "three"]).as_json()

    assert json.loads(json.dumps(empty, allow_nan=False))["value"] is None
    assert empty["interval"] is None
    assert set(usual["interval"]) == {"low", "high"}
    assert usual["edits"] == {"substitutions": 1, "deletions": 0, "insertions": 0, "reference": 2}


def test_every_example_is_scored() -> None:
    """A hypothesis without its reference is an error, not left out."""
    with pytest.raises(ValueError, match="zip"):
        score(WER, ["one"], ["one", "two"])


def test_the_seed_is_that_of_the_interval() -> None:
    """The value does not depend on it."""
    said, wanted = ["one", "x", "two two", "y"] * 5, ["one", "two", "two", "three"] * 5

    first, second = score(WER, said, wanted, seed=1), score(WER, said, wanted, seed=2)

    assert first.value == second.value
    assert first == score(WER, said, wanted, seed=1)
