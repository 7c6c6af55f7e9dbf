"""Texts of processed sets that are stored as token ids alone, decoded by the tokenizer that made them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The column of token ids in sets that transformers' training scripts process.
LABELS = "labels"


def decode(rows: Sequence[dict[str, Any]], column: str, tokenizer: str, place: str, first: int = 0) -> None:
    """Replace the token ids in a column of some rows by their texts.

    Special tokens, and negative ids, which scripts use as padding, are left out.

    :param tokenizer: a folder or a name on the hub.
    :param place: the table, for messages.
    :param first: the number of the first row in it.
    :raises DataError: the column does not hold lists of token ids.
    :raises SetupError: the tokenizer is missing.
    """
    lists = []
    for number, row in enumerate(rows, first):
        ids = row[column]
        if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
            msg = f"{place} row {number}: column {column!r} must hold a list of token ids, is {ids!r:.60}"
            raise DataError(msg)
        lists.append([one for one in ids if one >= 0])
    texts = _tokenizer(tokenizer).batch_decode(lists, skip_special_tokens=True)
    for row, text in zip(rows, texts, strict=True):
        row[column] = text


@lru_cache(maxsize=2)
def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    from steermoe_core.model.weights import load

    return load(AutoTokenizer, name)
