"""Answers in the form in which they are compared, and what several people's answers amount to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from steermoe_core.data.split import normalise_text

if TYPE_CHECKING:
    from collections.abc import Sequence

BINARY, SINGLE_WORD = "binary", "single-word"
YES_NO = frozenset({"yes", "no"})
UNANIMOUS, MAJORITY, NONE = "unanimous", "majority", "none"

_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_IN_WORDS = {str(number): word for number, word in enumerate(_NUMBERS)}


def compared(text: str) -> str:
    """Return an answer in lower case, without punctuation and leading article, numbers to twelve in words."""
    words = [_IN_WORDS.get(word, word) for word in normalise_text(text).split()]
    return " ".join(words[1:] if len(words) > 1 and words[0] in _ARTICLES else words)


def yes_or_no(text: str) -> str | None:
    """Return "yes" or "no" if that is the first word and the other one does not follow; else None.

    "Yes." and "Yes, it is" are yes; "yes no", "I think yes", "yesterday" and "" are neither.
    """
    words = normalise_text(text).split()
    said = YES_NO.intersection(words)
    return words[0] if words and said == {words[0]} else None


def kind_of(answers: Sequence[str]) -> str:
    """Return "binary" if more than half of the compared answers are yes or no, else "single-word"."""
    return BINARY if 2 * sum(answer in YES_NO for answer in answers) > len(answers) else SINGLE_WORD


def majority(answers: Sequence[str]) -> str | None:
    """Return the answer that more than half gave, if there is one."""
    (answer, votes), *_ = Counter(answers).most_common(1)
    return answer if 2 * votes > len(answers) else None


def agreement(answers: Sequence[str]) -> str:
    """Return "unanimous", "majority" or "none"."""
    if len(set(answers)) == 1:
        return UNANIMOUS
    return NONE if majority(answers) is None else MAJORITY
