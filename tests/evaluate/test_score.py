"""A score comes with counts, its interval, and an open account of empty references."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.evaluate.accuracy import ExactMatch
from steermoe_core.evaluate.config import ExactMatchConfig, WerConfig
from steermoe_core.evaluate.metrics import Wer
from steermoe_core.evaluate.score import score
from steermoe_core.evaluate.scores import Edits
from steermoe_core.system.records import plain
from tests.predictions import predicted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.evaluate.prediction import Prediction

WER = Wer(WerConfig())


def paired(
    said: Sequence[str], wanted: Sequence[str], clusters: Sequence[str | None] = ()
) -> list[Prediction]:
    """Return predictions of several clips."""
    groups = clusters or [None] * len(said)
    rows = zip(said, wanted, groups, strict=True)
    return [predicted(one, other, cluster=group) for one, other, group in rows]


def test_a_score_counts_everything() -> None:
    """Value, edits, examples and clusters belong together."""
    found = score(WER, paired(["one two", "x", ""], ["one three", "", "two two"], ["anna", "anna", None]))

    assert found.metric == "wer"
    assert found.value == pytest.approx(4 / 4)
    assert found.edits == Edits(1, 2, 1, 4)
    assert (found.examples, found.clusters) == (3, 2)
    assert (found.empty_references, found.empty_insertions) == (1, 1)


def test_a_score_is_plain_json() -> None:
    """Nothing in it is a number that JSON does not know."""
    empty = plain(score(WER, paired(["x"], [""])))
    usual = plain(score(WER, paired(["one", "two"], ["one", "three"])))

    assert json.loads(json.dumps(empty, allow_nan=False))["value"] is None
    assert empty["interval"] is None
    assert set(usual["interval"]) == {"low", "high"}
    assert usual["edits"] == {"substitutions": 1, "deletions": 0, "insertions": 0, "reference": 2}


def test_where_higher_is_better_the_value_is_the_hits() -> None:
    """The interval is turned with it, and the record says so."""
    predictions = paired(["one", "two", "x", "one"] * 5, ["one", "two", "three", "one"] * 5)

    hits, errors = score(ExactMatch(ExactMatchConfig()), predictions), score(WER, predictions)

    assert hits.higher_is_better
    assert not errors.higher_is_better
    assert (hits.value, errors.value) == (0.75, 0.25)
    assert hits.interval is not None
    assert errors.interval is not None
    assert hits.interval.low == pytest.approx(1 - errors.interval.high)
    assert hits.interval.high == pytest.approx(1 - errors.interval.low)


def test_the_seed_is_that_of_the_interval() -> None:
    """The value does not depend on it."""
    predictions = paired(["one", "x", "two two", "y"] * 5, ["one", "two", "two", "three"] * 5)

    first, second = score(WER, predictions, seed=1), score(WER, predictions, seed=2)

    assert first.value == second.value
    assert first == score(WER, predictions, seed=1)
