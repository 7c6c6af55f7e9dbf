"""An answer is right as a whole or it is wrong: nothing is gained by what it contains."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.errors import SetupError
from steermoe_core.evaluate.accuracy import Accuracy, ExactMatch, Key
from steermoe_core.evaluate.config import ExactMatchConfig
from steermoe_core.evaluate.score import score
from tests.predictions import predicted

if TYPE_CHECKING:
    from steermoe_core.evaluate.prediction import Prediction

EXACT = ExactMatch(ExactMatchConfig())

words = st.sampled_from(["yes", "no", "noise", "dog", "a dog", "dog bark", "It's raining."])


def value(metric: Accuracy, predictions: list[Prediction]) -> float | None:
    """Return the accuracy."""
    return score(metric, predictions).value


@given(
    st.lists(words, min_size=1), st.sampled_from(["", " ", "e", "o", "yes no", "no yes", "a", ".", "dog dog"])
)
def test_constant_answers_gain_nothing(references: list[str], constant: str) -> None:
    """Neither one letter of the reference nor a list of all answers is an answer."""
    assert value(EXACT, [predicted(constant, reference) for reference in references]) == 0.0


@given(
    st.text(alphabet="abc ", max_size=4), st.text(alphabet="abc ", min_size=1, max_size=4).filter(str.strip)
)
def test_only_the_whole_reference_is_right(said: str, wanted: str) -> None:
    """Part of it, or more than it, is wrong."""
    assert value(EXACT, [predicted(said, wanted)]) == float(said.split() == wanted.split())


@given(st.lists(words, min_size=1, max_size=3), words)
def test_any_reference_will_do(references: list[str], said: str) -> None:
    """Where several people answered, each answer is accepted."""
    assert value(EXACT, [predicted(said, "x", references=references)]) == float(said in references)


def test_case_and_punctuation_depend_on_the_ruler() -> None:
    """By default they do not count; the name tells where they do."""
    strict = ExactMatch(ExactMatchConfig(normalise="raw"))

    assert (EXACT.name, strict.name) == ("exact-match", "exact-match-raw")
    assert value(EXACT, [predicted(" Yes. ", "yes")]) == 1.0
    assert value(strict, [predicted(" Yes. ", "yes")]) == 0.0
    assert value(strict, [predicted("  it  is ", "it is")]) == 1.0


def test_the_english_ruler_knows_numbers() -> None:
    """With Whisper's normaliser twenty one is 21."""
    pytest.importorskip("whisper_normalizer")

    assert value(ExactMatch(ExactMatchConfig(normalise="whisper-en")), [predicted("twenty one", "21")]) == 1.0


def test_a_missing_normaliser_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is optional; the error names it."""
    monkeypatch.setitem(sys.modules, "whisper_normalizer.english", None)

    with pytest.raises(SetupError, match="pip install whisper-normalizer"):
        ExactMatch(ExactMatchConfig(normalise="whisper-en"))


def test_an_empty_reference_is_not_judged() -> None:
    """Silence against nothing is neither right nor wrong, and is counted."""
    found = score(EXACT, [predicted("", "?"), predicted("no", "")])

    assert found.value is None
    assert found.empty_references == 2
    assert found.details == {"judged": 0, "constant": None, "ceiling": None}


def test_the_best_constant_answer_stands_beside_the_score() -> None:
    """The commonest reference, and what saying it always would have scored."""
    references = ["dog", "Yes.", "yes", "no", "yes"]

    found = score(EXACT, [predicted("x", reference) for reference in references])
    always = value(EXACT, [predicted("yes", reference) for reference in references])

    assert found.details == {"judged": 5, "constant": {"answer": "yes", "value": always}, "ceiling": 1.0}


@given(st.lists(words, min_size=1), st.lists(words, min_size=1))
def test_no_constant_answer_beats_the_one_that_is_named(references: list[str], answers: list[str]) -> None:
    """It is the best of them all."""
    predictions = [predicted("x", reference) for reference in references]
    best = score(EXACT, predictions).details["constant"]["value"]

    for answer in answers:
        said = value(EXACT, [predicted(answer, reference) for reference in references])
        assert said is not None
        assert said <= best


class Divided(Accuracy):
    """Three judges, of whom two say a and one says b."""

    name = "divided"

    def key(self, prediction: Prediction) -> Key | None:
        return Key({"a": 2, "b": 1}, total=3)

    def parsed(self, prediction: Prediction) -> str | None:
        return prediction.hypothesis


def test_judges_that_disagree_leave_a_ceiling() -> None:
    """Who pleases most of them scores that, and no more."""
    predictions = [predicted("a", "a"), predicted("b", "a"), predicted("c", "a")]

    found = score(Divided(), predictions)

    assert found.value == pytest.approx((2 + 1 + 0) / 9)
    assert found.details["ceiling"] == pytest.approx(2 / 3)
    assert found.details["judged"] == 3
