"""Numbers composed of recordings of number words."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from steermoe_pocket import digits
from steermoe_pocket.clips import RATE
from steermoe_pocket.text import NUMBER_WORDS

if TYPE_CHECKING:
    from pathlib import Path


def test_numbers_are_in_words_and_repeatable() -> None:
    """The same seed counts the same numbers."""
    found = list(islice(digits.numbers(1), 200))
    assert found == list(islice(digits.numbers(1), 200))
    assert {word for number in found for word in number.split()} <= NUMBER_WORDS


def test_a_number_is_its_words_in_a_row(share: Path) -> None:
    """Each word is a recording without the silence around it, with short gaps between."""
    one, hundred = (len(digits.speak(share, 0, word, "7")) for word in ("one", "hundred"))
    both = digits.speak(share, 0, "one hundred", "7")
    assert 0.2 * RATE < one < 0.31 * RATE
    assert 0 <= len(both) - one - hundred <= 0.08 * RATE
    assert np.array_equal(both, digits.speak(share, 0, "one hundred", "7"))
    assert not np.array_equal(both, digits.speak(share, 1, "one hundred", "7"))
