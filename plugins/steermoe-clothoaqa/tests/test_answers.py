"""What people say is compared as whole words, in one form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_clothoaqa.answers import agreement, compared, kind_of, majority, yes_or_no


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Yes.", "yes"),
        (" A dog ", "dog"),
        ("the", "the"),
        ("2", "two"),
        ("12 times", "twelve times"),
        ("13", "13"),
        ("It's raining!", "it's raining"),
        ("", ""),
    ],
)
def test_the_compared_form(text: str, form: str) -> None:
    """Lower case, no punctuation, no leading article, small numbers in words."""
    assert compared(text) == form


@given(st.text())
def test_the_compared_form_is_final(text: str) -> None:
    """Comparing what was compared changes nothing, unless articles pile up."""
    form = compared(text)

    assert compared(form) == form or form.split()[0] in {"a", "an", "the"}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("yes", "yes"),
        ("No!", "no"),
        ("Yes, it is.", "yes"),
        ("no no no", "no"),
        ("yes no", None),
        ("no, I mean yes", None),
        ("I think yes", None),
        ("yesterday", None),
        ("noise", None),
        ("y", None),
        ("", None),
    ],
)
def test_yes_and_no_are_first_words(text: str, answer: str | None) -> None:
    """And the other one does not follow."""
    assert yes_or_no(text) == answer


@pytest.mark.parametrize(
    ("answers", "kind", "voted", "agreed"),
    [
        (["yes", "yes", "yes"], "binary", "yes", "unanimous"),
        (["yes", "yes", "no"], "binary", "yes", "majority"),
        (["yes", "no", "rain"], "binary", None, "none"),
        (["rain", "rain", "yes"], "single-word", "rain", "majority"),
        (["rain", "wind", "sea"], "single-word", None, "none"),
        (["yes", "no"], "binary", None, "none"),
        (["rain", "yes"], "single-word", None, "none"),
        (["rain"], "single-word", "rain", "unanimous"),
    ],
)
def test_votes(answers: list[str], kind: str, voted: str | None, agreed: str) -> None:
    """More than half make a majority, and a kind."""
    assert (kind_of(answers), majority(answers), agreement(answers)) == (kind, voted, agreed)
