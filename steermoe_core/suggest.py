"""The nearest known word to a misspelt one, for every did-you-mean of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was most likely meant, or None when none is near.

    Case and the choice between ``-``, ``_`` and ``.`` count for nothing.
    """
    from difflib import get_close_matches  # only after a mistake

    by_plain = {_plain(name): name for name in sorted(known, reverse=True)}
    near = get_close_matches(_plain(word), by_plain, n=1, cutoff=0.6)
    return by_plain[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "…"?`` to put behind a message, or nothing when no known word is near."""
    near = closest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def _plain(word: str) -> str:
    return word.lower().replace("_", "-").replace(".", "-")
