"""Division of a dataset by the hash of its texts or speakers: no text or speaker is in two parts."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The part of everything that no fraction claims.
TRAIN = "train"
#: The part that must never be trained on.
TEST = "test"
#: Letters, marks (vowel signs of many scripts) and numbers, as Unicode's general categories begin.
KEPT = frozenset("LMN")
#: A word among spaces: it begins with a letter or digit, marks follow one, apostrophes stand between two.
WORD = r"[^\W_][^\s']*(?:'[^\W_][^\s']*)*"
#: What nobody sees: format characters (soft hyphen, joiners, directions) but the zero width space, which
#: parts words; and the marks that choose a glyph.
FORMAT, PARTING = "Cf", "\u200b"
SELECTORS = r"[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
#: What `kept` and `folded` make of the characters of ASCII, in lower case.
_ASCII = {code: c if c.isalnum() or c == "'" else " " for code, c in enumerate(map(chr, range(128)))}


def normalise_text(text: str) -> str:
    """Return the words of the text: letters with their marks, digits, inner apostrophes; single spaces.

    Two texts that a listener cannot tell apart become equal: "Don't 'stop'!" and "DON'T  STOP".
    """
    plain = text.lower().translate(_ASCII) if text.isascii() else kept(folded(text), "'")
    return " ".join(re.findall(WORD, plain))


def folded(text: str) -> str:
    """Return the text in lower case and NFKC, with one kind of apostrophe, without what nobody sees."""
    seen = "".join(c for c in text if c == PARTING or unicodedata.category(c) != FORMAT)
    plain = re.sub(SELECTORS, "", seen).replace("\u2019", "'")
    # Twice: lower case may be composed where upper case is not, as in J with a caron.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).lower())


def kept(text: str, signs: str) -> str:
    """Return the text with a space in the place of all but letters, marks, digits and some signs."""
    return "".join(c if c in signs or unicodedata.category(c)[0] in KEPT else " " for c in text)


def part_of(text: str, fractions: Mapping[str, float], seed: int = 0) -> str:
    """Return the part that a text belongs to: by the hash of its normalised form, so equal texts never part.

    The answer depends on nothing but the arguments: not on the other texts, the machine or the order of
    `fractions`. "test" claims its share first, so that another size of "dev" leaves the test set as it is.

    :param fractions: expected share of each part, e.g. ``{"dev": 0.1, "test": 0.2}``; the rest is "train".
    :param seed: another seed is another division.
    :raises ValueError: when a share is negative or all shares together exceed 1.
    """
    return part_of_group(normalise_text(text), fractions, seed)


def part_of_group(group: str, fractions: Mapping[str, float], seed: int = 0) -> str:
    """Return the part that a speaker or another group belongs to, by the hash of its name.

    Parameters and errors are those of `part_of`.
    """
    _check(fractions)
    point = _uniform(f"{seed}\0{group}")
    claimed = 0.0
    for name in sorted(fractions, key=lambda name: (name != TEST, name)):
        claimed += fractions[name]
        if point < claimed:
            return name
    return TRAIN


def _check(fractions: Mapping[str, float]) -> None:
    if min(fractions.values(), default=0.0) < 0.0 or sum(fractions.values()) > 1.0 + 1e-9:
        msg = f"shares must not be negative nor sum to more than 1: {dict(fractions)}"
        raise ValueError(msg)


def _uniform(text: str) -> float:
    """Return a number in [0, 1) from the text: 53 bits, as many as a float holds."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
