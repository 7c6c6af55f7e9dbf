"""Answers are judged as a whole, by four judges; nothing is gained without an answer."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_clothoaqa.config import QaAccuracyConfig
from steermoe_clothoaqa.metric import QaAccuracy
from steermoe_core.evaluate.score import Score, score
from tests.predictions import predicted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.evaluate.prediction import Prediction

JUDGES = ("majority", "unanimous", "any", "each")
KINDS = ("all", "binary", "single-word")
METRICS = [QaAccuracy(QaAccuracyConfig(judge=judge, kind=kind)) for judge in JUDGES for kind in KINDS]

#: Three people's answers to a question, agreeing or not.
yes_no = st.lists(st.sampled_from(["yes", "no", "Yes.", "No"]), min_size=3, max_size=3)
words = st.lists(st.sampled_from(["noise", "dog", "a dog", "2", "eye", "yesterday"]), min_size=3, max_size=3)
tables = st.lists(st.one_of(yes_no, words), min_size=1, max_size=12)


def asked(table: Sequence[Sequence[str]], said: str | Sequence[str] = "") -> list[Prediction]:
    """Return predictions on questions with these answers."""
    answers = [said] * len(table) if isinstance(said, str) else said
    return [predicted(one, three[0], references=three) for one, three in zip(answers, table, strict=True)]


def scored(table: Sequence[Sequence[str]], said: str | Sequence[str], **settings: Any) -> Score:
    """Return the score of answers to questions with these answers."""
    return score(QaAccuracy(QaAccuracyConfig(**settings)), asked(table, said))


class TestConstantAnswers:
    """What says the same to every question has not listened."""

    @given(tables, st.sampled_from(["", " ", "yes no", "no yes", "?", "yes or no", *string.ascii_letters]))
    def test_what_is_no_answer_gains_nothing(self, table: list[list[str]], constant: str) -> None:
        """Letters that answers contain, and lists of answers, score 0 with every judge and are unparsed."""
        for metric in METRICS:
            found = score(metric, asked(table, constant))

            assert found.value in {0.0, None}
            assert found.details["constant"] is None or found.details["constant"]["answer"] != constant
        binary = scored(table, constant, judge="any", kind="binary")
        assert binary.details["unparsed"] == binary.details["judged"]

    @given(st.lists(yes_no, min_size=1), st.sampled_from(["yes", "no"]))
    def test_yes_gains_exactly_the_share_of_yes(self, table: list[list[str]], constant: str) -> None:
        """By majority: the questions that most answered so; row by row: their rows."""
        rows = [answer.lower().strip(".") for three in table for answer in three]
        votes = [sum(answer.lower().startswith(constant) for answer in three) for three in table]

        by_row = scored(table, constant, judge="each").value
        by_vote = scored(table, constant, judge="majority").value
        by_any = scored(table, constant, judge="any").value

        assert by_row == rows.count(constant) / len(rows)
        assert by_vote == sum(count >= 2 for count in votes) / len(table)
        assert by_any == sum(count >= 1 for count in votes) / len(table)

    @settings(max_examples=30, deadline=None)  # each scores with every judge
    @given(tables, st.sampled_from(["yes", "no", "dog", "noise", "two", "e"]))
    def test_none_beats_the_best_one_that_is_named(self, table: list[list[str]], constant: str) -> None:
        """The baseline beside the score is the best that a deaf model can do with one answer."""
        for metric in METRICS:
            found = score(metric, asked(table, constant))
            if found.value is not None:
                assert found.value <= found.details["constant"]["value"] <= found.details["ceiling"]

    def test_yes_to_everything_is_half_right_when_yes_and_no_weigh_alike(self) -> None:
        """Though most questions are answered by yes."""
        found = scored([["yes"] * 3] * 9 + [["no"] * 3], "yes", kind="binary")

        assert found.value == 0.9
        assert found.details["constant"] == {"answer": "yes", "value": 0.9}
        assert found.details["balanced"] == 0.5


class TestJudges:
    """Who says what is right."""

    TABLE = (["yes", "yes", "yes"], ["yes", "yes", "no"], ["rain", "wind", "sea"], ["car", "a car", "bus"])

    @pytest.mark.parametrize(
        ("judge", "judged", "value", "ceiling"),
        [
            ("majority", 3, 2 / 3, 1.0),
            ("unanimous", 1, 1.0, 1.0),
            ("any", 4, 3 / 4, 1.0),
            ("each", 4, 6 / 12, (3 + 2 + 1 + 2) / 12),
        ],
    )
    def test_differ(self, judge: str, judged: int, value: float, ceiling: float) -> None:
        """Each judges the questions on which it has a say."""
        found = scored(self.TABLE, ["Yes.", "yes", "sea", "train"], judge=judge)

        assert found.value == pytest.approx(value)
        assert found.details["judged"] == judged
        assert found.details["ceiling"] == pytest.approx(ceiling)

    def test_kinds_are_apart(self) -> None:
        """Binary and single-word questions make up all, and nothing is in both."""
        said = ["yes", "no", "rain", "car"]
        parts = [scored(self.TABLE, said, judge="any", kind=kind) for kind in KINDS]

        every, binary, word = (found.edits for found in parts)
        assert binary + word == every
        assert [found.details["judged"] for found in parts] == [4, 2, 2]

    @settings(max_examples=30, deadline=None)  # each scores with every judge
    @given(tables)
    def test_who_says_what_most_said_reaches_the_ceiling(self, table: list[list[str]]) -> None:
        """With every judge."""
        for metric in METRICS:
            keys = [metric.key(one) for one in asked(table)]
            best = [max(key.points, key=lambda a, k=key: k.points[a]) if key else "x" for key in keys]

            found = score(metric, asked(table, best))

            assert found.value == pytest.approx(found.details["ceiling"])

    def test_names_tell_judge_and_kind(self) -> None:
        """So that all of them can stand in one table."""
        names = [metric.name for metric in METRICS]

        assert names[:3] == ["qa-majority", "qa-majority-binary", "qa-majority-single-word"]
        assert len(set(names)) == len(METRICS)

    def test_a_clip_with_one_reference_has_one_annotator(self) -> None:
        """Data without lists of answers can be judged, too."""
        one = attrs.evolve(predicted("Yes", "yes"), references=())

        assert [score(metric, [one]).value for metric in METRICS if "word" not in metric.name] == [1.0] * 8


class TestUnparsed:
    """Answers that are none."""

    def test_are_a_class_of_their_own(self) -> None:
        """What was said is counted: yes, no, other words, and what cannot be read."""
        table = [["yes"] * 3, ["no"] * 3, ["yes"] * 3, ["rain"] * 3, ["rain"] * 3]

        found = scored(table, ["Yes, it is.", "yes no", "I think so", "wind", "some rain"])

        assert found.details["said"] == {"yes": 1, "no": 0, "other": 1, "unparsed": 3}
        assert found.details["unparsed"] == 3
        assert found.value == 1 / 5

    def test_more_than_a_word_is_one_only_if_a_person_said_it(self) -> None:
        """Then it is right."""
        assert scored([["car engine"] * 3], "Car engine.").value == 1.0
        assert scored([["car"] * 3], "car engine").details["unparsed"] == 1
