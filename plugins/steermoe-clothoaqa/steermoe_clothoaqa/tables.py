"""The three tables: rows, each an annotator's answer, and the questions that they belong to."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import attrs

from steermoe_clothoaqa.answers import compared
from steermoe_core.data.split import normalise_text
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: The splits, in the order in which a clip that is in two of them is kept for the later one.
SPLITS = ("train", "val", "test")
COLUMNS = ("file_name", "QuestionText", "answer", "confidence")
ANNOTATORS = 3
#: How sure an annotator was.
_SURE = {"yes": 2, "maybe": 1, "no": 0}


@attrs.frozen
class Row:
    """One annotator's answer.

    :param file: name of the clip below audio_files.
    :param question: as it was asked.
    :param answer: in its compared form.
    :param sure: 2, 1 or 0.
    """

    file: str
    question: str
    answer: str
    sure: int


@attrs.frozen
class Question:
    """All rows of one question to one clip.

    :param number: of the question among those to its clip, from 1.
    """

    file: str
    number: int
    rows: Sequence[Row]

    @property
    def text(self) -> str:
        """Return the question as its first row has it."""
        return self.rows[0].question

    @property
    def answers(self) -> list[str]:
        """Return the answers, in the table's order."""
        return [row.answer for row in self.rows]

    @property
    def voted(self) -> str:
        """Return the answer with most votes; of several the surest, of these the first."""
        answers = self.answers
        sure = {answer: sum(row.sure for row in self.rows if row.answer == answer) for answer in answers}
        return max(answers, key=lambda answer: (answers.count(answer), sure[answer]))


def table_of(folder: Path, split: str) -> Path:
    """Return the path of a split's table."""
    return folder / f"clotho_aqa_{split}.csv"


def questions(folder: Path, split: str) -> list[Question]:
    """Return the questions of a split, in the table's order; rows of one clip and question belong together.

    :raises DataError: when the table is missing, is none, or lacks a column or an answer.
    """
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in _rows(table_of(folder, split)):
        grouped.setdefault((row.file, normalise_text(row.question)), []).append(row)
    asked: dict[str, int] = {}
    found = []
    for (file, _), rows in grouped.items():
        asked[file] = asked.get(file, 0) + 1
        found.append(Question(file, asked[file], rows))
    return found


def _rows(table: Path) -> Iterator[Row]:
    if not table.is_file():
        msg = (
            f"{table}: there is no such table; Clotho-AQA has clotho_aqa_train.csv, …_val.csv and …_test.csv"
        )
        raise DataError(msg)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_header(table, reader.fieldnames or [])
            line = 0
            for line, fields in enumerate(reader, 2):  # noqa: B007 - tells below whether there was one
                yield _row(f"{table}:{reader.line_num}", fields)
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{table}: cannot be read as a table in UTF-8 ({error})"
        raise DataError(msg) from None
    if not line:
        msg = f"{table}: the table has no rows"
        raise DataError(msg)


def _check_header(table: Path, header: Sequence[str]) -> None:
    missing = [column for column in COLUMNS if column not in header]
    if not missing:
        return
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        msg = f"{table}: its fields are not parted by commas; write it as comma-separated values"
        raise DataError(msg)
    there = ", ".join(header) or "none"
    msg = f"{table}: there is no column {missing[0]!r}; its columns are {there}"
    raise DataError(msg)


def _row(place: str, fields: dict[str, str]) -> Row:
    if None in fields or None in fields.values():  # where the reader puts what is too much or too little
        msg = f"{place}: not as many fields as the header; quote texts with commas"
        raise DataError(msg)
    file, question, answer, confidence = (fields[column].strip() for column in COLUMNS)
    if not (file and question and compared(answer)):
        empty = "file_name" if not file else "QuestionText" if not question else "answer"
        msg = f"{place}: the row has nothing in column {empty!r}"
        raise DataError(msg)
    return Row(file, question, compared(answer), _SURE.get(confidence.lower(), 0))
