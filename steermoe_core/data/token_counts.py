"""Many texts as tokens at once, and what a tokenizer is."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from operator import add
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from steermoe_core.data.layout import Layout

_PARALLEL = "TOKENIZERS_PARALLELISM"
#: Whether the user has decided on it.
_DECIDED = _PARALLEL in os.environ


def identity(tokenizer: Any) -> str:
    """Return a hash of all that decides which tokens a text becomes; "" where it cannot be told."""
    fast: Any = getattr(tokenizer, "backend_tokenizer", None)
    return hashlib.sha256(fast.to_str().encode()).hexdigest() if hasattr(fast, "to_str") else ""


def tokenised(tokenizer: Any, texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the tokens of each text, without special ones; an empty text has none."""
    said = [text for text in texts if text]
    with _parallel():
        rows = iter(_batch(tokenizer, said) if said else [])
    return (next(rows) if text else [] for text in texts)


def answer_counts(tokenizer: Any, texts: Sequence[str], ends: set[int]) -> Iterator[int]:
    """Yield the tokens of each answer with its end; -1 where the text holds an end token."""
    for tokens in tokenised(tokenizer, texts):
        yield len(tokens) + 1 if ends.isdisjoint(tokens) else -1


def prompt_counts(
    tokenizer: Any, layout: Layout, choices: Mapping[str | None, Sequence[str]]
) -> dict[str | None, int]:
    """Return the tokens around the audio with the longest of some prompts; -1 where there is none.

    :param choices: by the own prompt of a clip, those that it may get.
    """
    distinct = list(dict.fromkeys(prompt for several in choices.values() for prompt in several))
    around = [text for prompt in distinct for text in layout.fill(prompt)]
    counts = [len(tokens) for tokens in tokenised(tokenizer, around)]
    tokens = dict(zip(distinct, map(add, counts[::2], counts[1::2]), strict=True))
    return {own: max((tokens[prompt] for prompt in several), default=-1) for own, several in choices.items()}


def _batch(tokenizer: Any, texts: Sequence[str]) -> Iterable[list[int]]:
    fast: Any = getattr(tokenizer, "backend_tokenizer", None)
    first = list(tokenizer(texts[0], add_special_tokens=False)["input_ids"])  # and no padding from here on
    if hasattr(fast, "encode_batch_fast"):
        found = fast.encode_batch_fast(texts, add_special_tokens=False)
        if found[0].ids == first:  # nothing comes before or after the fast tokenizer
            return (one.ids for one in found)
    return [list(row) for row in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


@contextmanager
def _parallel() -> Iterator[None]:
    """Let a fast tokenizer use all cores, unless the user has decided.

    Afterwards it uses one, so that it does not warn of processes that are forked, as data loaders do.
    """
    if _DECIDED:
        yield
        return
    os.environ[_PARALLEL] = "true"
    try:
        yield
    finally:
        os.environ[_PARALLEL] = "false"
