"""The dataset `clotho-aqa`: examples of one split, a question or an annotator's row each."""

from __future__ import annotations

import math
import warnings
from functools import cache
from typing import TYPE_CHECKING

from steermoe_clothoaqa.answers import MAJORITY, NONE, UNANIMOUS, agreement, kind_of
from steermoe_clothoaqa.config import QUESTION_SLOT
from steermoe_clothoaqa.tables import ANNOTATORS, SPLITS, questions, table_of
from steermoe_core.config.naming import some
from steermoe_core.data.audio.waveform import duration
from steermoe_core.data.example import Example
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_clothoaqa.config import ClothoAqaConfig, QuestionsConfig
    from steermoe_clothoaqa.tables import Question

#: Which questions each way of taking answers leaves.
_KEPT = {
    "all": {UNANIMOUS, MAJORITY, NONE},
    "majority": {UNANIMOUS, MAJORITY},
    "unanimous": {UNANIMOUS},
    "each": {UNANIMOUS, MAJORITY, NONE},
}
#: Splits in the engine's words.
PARTS = {"train": "train", "val": "dev", "test": "test"}


def examples(config: ClothoAqaConfig) -> list[Example]:
    """Return the examples of the split that the settings name."""
    return read(config.path, config)


def read(folder: Path, config: QuestionsConfig) -> list[Example]:
    """Return the examples of one split of a folder, in the table's order.

    A clip that is missing or unreadable is kept with nan seconds: `data.check.usable` counts it. What is
    left out (clips that a later split has too, questions without agreement) is counted in a warning.

    :raises DataError: when the folder or a table is not as it should be, or nothing is left.
    """
    if not folder.is_dir():
        msg = f"{folder}: there is no such folder"
        raise DataError(msg)
    asked = _apart(folder, config.split, questions(folder, config.split))
    _warn(
        folder, config.split, [q for q in asked if len(q.rows) > ANNOTATORS], "with more than three answers"
    )
    kept = [q for q in asked if agreement(q.answers) in _KEPT[config.answers]]
    if len(kept) < len(asked):
        without = [q for q in asked if agreement(q.answers) not in _KEPT[config.answers]]
        _warn(folder, config.split, without, f'left out by answers = "{config.answers}"')
    seconds = cache(_seconds)
    found = [
        example for q in kept for example in _examples(q, folder, config, seconds(_audio(folder, q.file)))
    ]
    if not found:
        msg = f'{table_of(folder, config.split)}: no question is left with answers = "{config.answers}"'
        raise DataError(msg)
    return found


def _apart(folder: Path, split: str, asked: list[Question]) -> list[Question]:
    """Return the questions to clips that no later split has."""
    later = [other for other in SPLITS[SPLITS.index(split) + 1 :] if table_of(folder, other).is_file()]
    elsewhere = {question.file for other in later for question in questions(folder, other)}
    shared = [question for question in asked if question.file in elsewhere]
    _warn(folder, split, shared, f"left out, their clips are in {' or '.join(later)} too")
    return [question for question in asked if question.file not in elsewhere]


def _examples(question: Question, folder: Path, config: QuestionsConfig, seconds: float) -> Iterator[Example]:
    answers = question.answers
    name = f"{config.split}/{question.file}#{question.number}"
    texts = {name: question.voted}
    if config.answers == "each":
        texts = {f"{name}.{number}": answer for number, answer in enumerate(answers, 1)}
    for own, text in texts.items():
        yield Example(
            id=own,
            audio=_audio(folder, question.file),
            text=text,
            seconds=seconds,
            prompt=config.prompt.replace(QUESTION_SLOT, question.text),
            cluster=question.file,
            references=tuple(answers),
            labels={"kind": kind_of(answers), "agreement": agreement(answers)},
            split=PARTS[config.split],
        )


def _audio(folder: Path, file: str) -> Path:
    return folder / "audio_files" / file


def _seconds(audio: Path) -> float:
    try:
        return duration(audio)
    except DataError:
        return math.nan


def _warn(folder: Path, split: str, found: Sequence[Question], what: str) -> None:
    if found:
        names = some([f"{question.file}#{question.number}" for question in found])
        message = f"{table_of(folder, split)}: {len(found)} questions {what}: {names}"
        warnings.warn(message, stacklevel=3)
