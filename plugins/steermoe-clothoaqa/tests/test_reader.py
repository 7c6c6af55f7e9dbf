"""The published tables become examples: a question or a row each, val and test unheard in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from steermoe_clothoaqa.config import ClothoAqaConfig
from steermoe_clothoaqa.reader import examples
from steermoe_core.data.usable import refuse_tests, usable
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from steermoe_core.data.example import Example

RAIN = "train/rain.wav#"


def read(path: Path, split: str = "train", **settings: Any) -> list[Example]:
    """Return the examples of a split."""
    return examples(ClothoAqaConfig(path=path, split=split, **settings))


class TestVotes:
    """Three annotators' rows are one question."""

    def test_an_example_is_a_question_with_all_its_answers(self, clotho: Callable[..., Path]) -> None:
        """However the question is written; the text is the answer with most votes."""
        found = read(clotho())

        assert [e.id for e in found] == [f"{RAIN}1", f"{RAIN}2", f"{RAIN}3"]
        assert [e.references for e in found] == [
            ("yes", "yes", "no"), ("rain", "rain", "rain"), ("two", "three", "none"),
        ]  # fmt: skip
        assert [e.text for e in found] == ["yes", "rain", "three"]
        assert [dict(e.labels) for e in found] == [
            {"kind": "binary", "agreement": "majority"},
            {"kind": "single-word", "agreement": "unanimous"},
            {"kind": "single-word", "agreement": "none"},
        ]
        assert {e.cluster for e in found} == {"rain.wav"}
        assert found[0].seconds == pytest.approx(0.5)

    @pytest.mark.parametrize(("answers", "kept"), [("majority", [1, 2]), ("unanimous", [2])])
    def test_questions_without_agreement_are_left_out_and_counted(
        self, clotho: Callable[..., Path], answers: str, kept: list[int]
    ) -> None:
        """Where the settings ask for agreement."""
        what = rf'train\.csv: {3 - len(kept)} questions left out by answers = "{answers}": rain\.wav#'
        with pytest.warns(UserWarning, match=what):
            found = read(clotho(), answers=answers)

        assert [e.id for e in found] == [f"{RAIN}{number}" for number in kept]

    def test_each_row_may_be_an_example(self, clotho: Callable[..., Path]) -> None:
        """Each with its own text, and all answers as references."""
        found = read(clotho(), answers="each")

        assert [e.text for e in found] == ["yes", "yes", "no", *["rain"] * 3, "two", "three", "none"]
        assert len({e.id for e in found}) == 9
        assert found[2].references == ("yes", "yes", "no")

    def test_of_answers_with_as_many_votes_the_first_of_the_surest_wins(
        self, clotho: Callable[..., Path]
    ) -> None:
        """Nobody sure: the first."""
        rows = [("rain.wav", "How many?", answer, "no") for answer in ("4", "5", "6")]

        assert [e.text for e in read(clotho(train=rows))] == ["four"]

    def test_the_question_stands_in_the_prompt(self, clotho: Callable[..., Path]) -> None:
        """In the wording that was published, or another; as its first row has it."""
        folder = clotho()
        usual, own = read(folder)[0].prompt, read(folder, prompt="Q: {question} A:")[0].prompt

        assert usual == "please answer the following question. The question is : Is it raining?"
        assert own == "Q: Is it raining? A:"

    def test_a_question_with_too_many_answers_is_counted(self, clotho: Callable[..., Path]) -> None:
        """All of them vote."""
        rows = [("rain.wav", "Is it raining?", answer, "yes") for answer in ("yes", "no", "no", "no")]

        with pytest.warns(UserWarning, match=r"1 questions with more than three answers: rain\.wav#1"):
            (found,) = read(clotho(train=rows))

        assert found.text == "no"


class TestSplits:
    """Val and test stay unheard."""

    def test_a_source_reads_its_own_table(self, clotho: Callable[..., Path]) -> None:
        """Clips of val are in val alone; parts have the engine's names."""
        folder = clotho()
        parts = {
            split: {(e.cluster, e.split) for e in read(folder, split)} for split in ("train", "val", "test")
        }

        assert parts == {
            "train": {("rain.wav", "train")}, "val": {("dog.wav", "dev")}, "test": {("cat.wav", "test")},
        }  # fmt: skip

    @pytest.mark.parametrize(("split", "later"), [("train", "val"), ("train", "test"), ("val", "test")])
    def test_a_clip_in_two_splits_is_kept_in_the_later_one(
        self, clotho: Callable[..., Path], split: str, later: str
    ) -> None:
        """And counted in the earlier one, whatever was asked."""
        own, other = ("a.wav", "What?", "rain", "yes"), ("b.wav", "What?", "rain", "yes")
        folder = clotho(**{split: [own, other], later: [("b.wav", "Is it?", "no", "yes")]})

        with pytest.warns(UserWarning, match=rf"1 questions left out, .* in .*{later}.* too: b\.wav#1"):
            found = read(folder, split)

        assert [e.cluster for e in found] == ["a.wav"]
        assert [e.cluster for e in read(folder, later)] == ["b.wav"]

    def test_test_cannot_be_trained_on(self, clotho: Callable[..., Path]) -> None:
        """The engine refuses it."""
        with pytest.raises(DataError, match="a test split is never trained on"):
            refuse_tests(read(clotho(), "test"), "train")

    def test_train_needs_no_other_table(self, clotho: Callable[..., Path]) -> None:
        """Who has only that can train."""
        folder = clotho()
        (folder / "clotho_aqa_val.csv").unlink()
        (folder / "clotho_aqa_test.csv").unlink()

        assert len(read(folder)) == 3


class TestFaults:
    """What is wrong ends in one sentence, or is counted."""

    def test_missing_audio_is_counted(self, clotho: Callable[..., Path]) -> None:
        """It stays in the list, unreadable."""
        found = read(clotho(sounds=False))

        assert all(math.isnan(e.seconds) for e in found)
        with pytest.raises(DataError, match=r"3 of 3 clips cannot be read.*rain\.wav: there is no such"):
            usable(found, min_seconds=0.0, max_seconds=9.0, max_bad=0.5)

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        """Is named."""
        with pytest.raises(DataError, match="there is no such folder"):
            read(tmp_path / "none")

    def test_a_missing_table(self, clotho: Callable[..., Path]) -> None:
        """Is named, with what belongs there."""
        folder = clotho()
        (folder / "clotho_aqa_test.csv").unlink()

        with pytest.raises(DataError, match=r"clotho_aqa_test\.csv: there is no such table"):
            read(folder, "test")

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"", r"there is no column 'file_name'; its columns are none"),
            (
                b"file_name,QuestionText,answer\na,b,c\n",
                r"there is no column 'confidence'; its columns are file",
            ),
            (b"file_name;QuestionText;answer;confidence\n", r"not parted by commas"),
            (b"file_name\tQuestionText\tanswer\tconfidence\n", r"not parted by commas"),
            (b"file_name,QuestionText,answer,confidence\n", r"the table has no rows"),
            (
                b"file_name,QuestionText,answer,confidence\na.wav,Is it, or not?,no,yes\n",
                r":2: not as many fields",
            ),
            (
                b"file_name,QuestionText,answer,confidence\na.wav,Is it?,,yes\n",
                r":2: .* nothing in column 'answer'",
            ),
            (
                b"file_name,QuestionText,answer,confidence\n,Is it?,no,yes\n",
                r":2: .* nothing in column 'file_name'",
            ),
            (b"file_name,QuestionText,answer,confidence\na,Is it \xe9?,no,yes\n", r"as a table in UTF-8"),
            (b'file_name,QuestionText,answer,confidence\na,"Is it?,no,yes\n', r"as a table in UTF-8"),
        ],
    )
    def test_a_table_of_another_form(
        self, clotho: Callable[..., Path], content: bytes, complaint: str
    ) -> None:
        """Says what is wrong with it."""
        folder = clotho()
        (folder / "clotho_aqa_val.csv").write_bytes(content)

        with pytest.raises(DataError, match=complaint):
            read(folder, "val")

    def test_nothing_left(self, clotho: Callable[..., Path]) -> None:
        """Is said with the setting that left nothing."""
        with (
            pytest.warns(UserWarning, match="1 questions left out"),
            pytest.raises(DataError, match=r'no question is left with answers = "unanimous"'),
        ):
            read(clotho(), "val", answers="unanimous")

    def test_a_byte_order_mark_is_no_part_of_the_header(self, clotho: Callable[..., Path]) -> None:
        """Spreadsheets write one."""
        table = clotho() / "clotho_aqa_val.csv"
        table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())

        assert len(read(table.parent, "val")) == 1


def test_an_example_is_the_same_in_every_run(clotho: Callable[..., Path]) -> None:
    """Ids, order and all."""
    folder = clotho()

    assert [attrs.asdict(e) for e in read(folder)] == [attrs.asdict(e) for e in read(folder)]
