"""Words that may occur, put into the prompt, and a guard against answers that only echo it.

A model that reads a rare word in its prompt may write it where nobody says it. So each span is answered with
and without the hotwords. The answer without them counts, except where the other one puts a hotword in the
place of words with similar letters ("cooper netties" → "Kubernetes"): a hotword can respell what was heard,
and add nothing.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Least similarity of a hotword's letters to those in whose place it is written: two times the letters in
#: common by those of both. Of random pairs of English words, 3 % reach it.
SIMILAR = 0.5


def prompted(prompt: str, hotwords: Sequence[str]) -> str:
    """Return a prompt that lists the hotwords before its own text."""
    return f"Words that may occur: {', '.join(hotwords)}\n{prompt}"


def guarded(answer: str, plain: str, hotwords: Sequence[str]) -> str:
    """Return the plain answer with the hotwords of another one that sound like what they replace.

    :param answer: given with the hotwords in the prompt.
    :param plain: given without them.
    """
    ours, theirs = answer.split(), plain.split()
    wanted = {_letters(word) for phrase in hotwords for word in phrase.split()}
    matcher = SequenceMatcher(
        None, [_letters(w) for w in theirs], [_letters(w) for w in ours], autojunk=False
    )
    words: list[str] = []
    for _, begin, end, start, stop in matcher.get_opcodes():
        before, after = theirs[begin:end], ours[start:stop]
        known = wanted & set(map(_letters, after)) - set(map(_letters, before))
        words += after if known and _alike(before, after) else before
    return " ".join(words)


def _letters(word: str) -> str:
    return re.sub(r"[^\w]", "", word.casefold())


def _alike(before: Sequence[str], after: Sequence[str]) -> bool:
    one, two = ("".join(map(_letters, words)) for words in (before, after))
    return SequenceMatcher(None, one, two, autojunk=False).ratio() >= SIMILAR
