"""Settings of the dataset and the metric; cheap to import."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - the strict converter asks for the type
from typing import Literal

import attrs

#: Where the question stands in a prompt.
QUESTION_SLOT = "{question}"


def _check_prompt(_instance: object, _field: object, prompt: str) -> None:
    if prompt.count(QUESTION_SLOT) != 1:
        msg = f"the prompt must hold the slot {QUESTION_SLOT} exactly once"
        raise ValueError(msg)


@attrs.frozen(kw_only=True)
class QuestionsConfig:
    """Which questions are taken, and how they are put.

    :param split: the table that is read; no split ever reads another's.
    :param answers: what becomes an example: `all`: every question, its text the answer that most annotators
        gave (of several the one whose annotators were surest, then the first); `majority`: the same, without
        questions to which no answer has more than half of the votes; `unanimous`: without those on which
        anybody differs; `each`: every annotator's row.
    :param prompt: what is put before the model; the question takes the slot's place.
    """

    split: Literal["train", "val", "test"]
    answers: Literal["all", "majority", "unanimous", "each"] = "all"
    prompt: str = attrs.field(
        default=f"please answer the following question. The question is : {QUESTION_SLOT}",
        validator=_check_prompt,
    )


@attrs.frozen(kw_only=True)
class ClothoAqaConfig(QuestionsConfig):
    """A folder in Clotho-AQA's layout: clotho_aqa_train.csv, …_val.csv, …_test.csv, audio_files/.

    :param path: the folder.
    """

    path: Path


@attrs.frozen(kw_only=True)
class QaAccuracyConfig:
    """Share of answers that are right as a whole; an answer that cannot be read as one is wrong, and counted.

    :param judge: what is right: `majority`: what more than half of the annotators said, where there is
        such an answer; `unanimous`: what all said, where all agree; `any`: what any of them said; `each`:
        every annotator's row counts for itself.
    :param kind: questions that are judged: `binary` are those that most annotators answered by yes or no.
    """

    judge: Literal["majority", "unanimous", "any", "each"] = "majority"
    kind: Literal["all", "binary", "single-word"] = "all"
