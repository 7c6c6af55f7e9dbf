"""Normal form, numbers in words, and the division by text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from steermoe_pocket.text import NUMBER_WORDS, part, spell, spelled


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (3584, "three thousand five hundred eighty four"),
        (1_000_001, "one million one"),
    ],
)
def test_numbers_in_words(number: int, words: str) -> None:
    """American style: no "and", no hyphens."""
    assert spell(number) == words


@given(st.integers(0, 10**12 - 1))
def test_every_number_is_spelled_with_number_words(number: int) -> None:
    """Composed recordings need no other words."""
    assert set(spell(number).split()) <= NUMBER_WORDS


def test_numbers_in_a_text_are_spelled() -> None:
    """Up to six digits are a number, more are read one by one."""
    assert spelled("Press 1, or dial 500.") == "press one or dial five hundred"
    assert spelled("3D audio") == "three d audio"
    assert spelled("call 5551234") == "call five five five one two three four"


def test_numbers_are_spelled_in_the_language_of_the_text() -> None:
    """Spanish without accents, as the lab writes it."""
    assert spelled("Marque 1 o 22.", "es") == "marque uno o veintidos"
    assert spelled("Appuyez sur 71", "fr") == "appuyez sur soixante et onze"
    assert part("Marque 1", "es") == part("marque uno", "es")


@given(st.text(max_size=40))
def test_spelling_is_settled_at_once(text: str) -> None:
    """A spelled text spells to itself and holds no plain digit."""
    assert spelled(spelled(text)) == spelled(text)
    assert not re.search("[0-9]", spelled(text))


@given(st.from_regex(r"[a-z]+( [a-z]+| [0-9]{1,4}){0,4}", fullmatch=True))
def test_texts_that_sound_alike_are_in_one_part(text: str) -> None:
    """Capitals, signs and digits do not matter."""
    assert part(text) == part(f"  {text.upper()}! ") == part(spelled(text))


def test_number_words_are_trained_on() -> None:
    """Numbers are composed of their recordings, so none may be a test clip."""
    assert {part(word) for word in NUMBER_WORDS} == {"train"}


def test_shares_are_near_their_sizes() -> None:
    """A fifth is for the test, a tenth for choices."""
    parts = [part(f"text number {spell(number)}") for number in range(3000)]
    assert 0.17 < parts.count("test") / len(parts) < 0.23
    assert 0.08 < parts.count("dev") / len(parts) < 0.12


@pytest.mark.parametrize("name", ["base/pocket", "whisper_bilingual"])
def test_the_examples_of_copying_are_no_held_out_texts(name: str) -> None:
    """What the language model sees in front of every clip is training text, in either language."""
    file = Path(__file__).parents[3] / "experiments" / f"{name}.toml"
    template = tomli.loads(file.read_text("utf-8"))["collator"]["template"]
    texts = re.findall(r"Original: (.+)", template)
    assert len(texts) >= 12
    assert {part(text) for text in texts} == {"train"}
