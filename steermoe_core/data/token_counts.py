"""Many texts as tokens at once, and what a tokenizer is."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
