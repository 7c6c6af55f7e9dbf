"""Forms of a text in which two spellings of the same words are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.data.split import normalise_text
from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core.evaluate.config import Normalise


def normaliser(name: Normalise) -> Callable[[str], str]:
    """Return the function from a text to its compared form; white space is single spaces in all of them.

    :raises SetupError: when the package that does it is not installed.
    """
    if name == "whisper-en":
        return _whisper_english()
    return normalise_text if name == "basic" else single_spaced


def single_spaced(text: str) -> str:
    """Return the text with each run of white space as one space, none at the ends."""
    return " ".join(text.split())


def _whisper_english() -> Callable[[str], str]:
    try:
        from whisper_normalizer.english import EnglishTextNormalizer
    except ImportError:
        msg = 'normalise = "whisper-en" needs the package whisper-normalizer: pip install whisper-normalizer'
        raise SetupError(msg) from None
    english = EnglishTextNormalizer()
    return lambda text: single_spaced(english(text))
