"""The Open ASR leaderboard's English, case by case; each form is what that project's own code returns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.evaluate.open_asr import NAMES, OpenAsrEnglish

NORMALISE = OpenAsrEnglish()


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Um, uhhh... ah-ha! The (laughs) cat [noise] sat.", "the cat sat"),
        ("OK, 'kay, o. k.", "okay okay okay"),
        ("Wi-Fi and e-mail at 9 a.m.", "wifi and email at 9 am"),
        ("Alan and Stephen MacDonald", "allen and steven mcdonald"),
        ("the b b c on 5 g", "the bbc on 5g"),
        ("a b test, a b c", "a b test abc"),
        ("It's John's, kinda", "it is john s kinda"),
        ("because, 'cause", "because cause"),
        ("half past two, a quarter to one o'clock, 7:00", "2 30 12 45 7"),
        ("twenty-five minutes before zero", "23 35"),
        ("ninety minutes past two", "90 minutes past 2"),
        ("oh no, oh oh", "oh no oh oh"),
        ("four oh one, oh seven nine eight", "4010798"),
        ("double oh seven", "007"),
        ("twenty dollars and five cents, 3.5%", "$20.05 3.5%"),
        ("colour, etcetera", "color etc"),
    ],
)
def test_forms(text: str, form: str) -> None:
    """What a text becomes."""
    assert NORMALISE(text) == form


def test_every_spelling_of_a_name() -> None:
    """A spelling stands for one name only, and no name is a spelling of another."""
    entries = [entry.partition(":")[::2] for entry in NAMES.split(";")]
    names = [name.strip() for name, _ in entries]
    spellings = [other for _, others in entries for other in others.split()]

    assert len(names) == len(set(names)) == 116
    assert len(spellings) == len(set(spellings)) == 152
    assert not set(names) & set(spellings)


WORDS = "oh o zero one twenty hundred and point double minus dollars per cent first 3 4.5 $2 half past 7:30"


@given(st.lists(st.sampled_from(WORDS.split()), max_size=8))
def test_numbers_in_any_order(row: list[str]) -> None:
    """No row of number words is an error, and forms are single-spaced."""
    form = NORMALISE(" ".join(row))

    assert form == " ".join(form.split())


@given(st.text())
def test_any_text(text: str) -> None:
    """Nor is any text."""
    assert NORMALISE(text) == " ".join(NORMALISE(text).split())
