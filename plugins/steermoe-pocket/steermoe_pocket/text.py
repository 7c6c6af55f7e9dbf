"""The lab's texts: normal form, numbers in words, and the law that says which part a text belongs to.

The part is a function of the text alone, the same for every source. So a sentence that anybody generates can
never be in the train part when a recording with that text is in the test part, whether or not the recordings
are installed.
"""

from __future__ import annotations

import re
import unicodedata

from steermoe_core.data.split import normalise_text, part_of

#: Expected shares of the texts.
_SHARES = {"dev": 0.1, "test": 0.2}
_SMALL = (
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand"), (100, "hundred"))
#: Words that `spell` uses: numbers are composed of their recordings, so these are always in the train part.
NUMBER_WORDS = frozenset([*_SMALL, *_TENS, *(word for _, word in _SCALES)])
#: Longer runs of digits are read digit by digit.
_LONGEST = 6


def spell(number: int) -> str:
    """Return a number from 0 to below 10¹² in words: 3584 is "three thousand five hundred eighty four"."""
    if number < len(_SMALL):
        return _SMALL[number]
    if number < 100:  # noqa: PLR2004
        tens, ones = divmod(number, 10)
        return " ".join([_TENS[tens - 2], *([_SMALL[ones]] if ones else [])])
    size, word = next((size, word) for size, word in _SCALES if number >= size)
    many, rest = divmod(number, size)
    return " ".join([spell(many), word, *([spell(rest)] if rest else [])])


def spelled(text: str, language: str = "en") -> str:
    """Return the text's normal form with its numbers in words, so that "press 1" equals "Press one."."""
    words = re.sub(r"[0-9]+", lambda match: f" {_read(match.group(), language)} ", normalise_text(text))
    return normalise_text(words)


def unaccented(text: str) -> str:
    """Return the text without accents, as the lab writes Spanish."""
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if unicodedata.category(sign) != "Mn")


def part(text: str, language: str = "en") -> str:
    """Return "train", "dev" or "test", the part that every clip with this text belongs to."""
    key = spelled(text, language)
    return "train" if key in NUMBER_WORDS else part_of(key, _SHARES)


def _read(digits: str, language: str) -> str:
    numbers = [int(digits)] if len(digits) <= _LONGEST else list(map(int, digits))
    return " ".join(spell(number) if language == "en" else _abroad(number, language) for number in numbers)


def _abroad(number: int, language: str) -> str:
    from num2words import num2words  # wanted for few texts

    words: str = num2words(number, lang=language)
    return unaccented(words) if language == "es" else words
