"""Text in phonemes, by hibari's package: its alphabet is that of misaki and Kokoro."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hibari.g2p import G2P


def phonemes(text: str, *, british: bool = False) -> str:
    """Return the phonemes of an English text, with its signs."""
    read: str = _reader(british=british)(text)
    return read


@cache
def _reader(*, british: bool) -> G2P:
    from hibari.g2p import G2P  # reads its lexicons

    return G2P(british=british)
