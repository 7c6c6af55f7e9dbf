"""The division of a dataset depends on texts and seed alone, and never parts equal texts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.split import WORD, folded, kept, normalise_text, part_of

FRACTIONS = {"dev": 0.1, "test": 0.2}


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Don\u2019t  STOP!", "don't stop"),
        ("  twenty-one\t(21) ", "twenty one 21"),
        ("Ünïcode, 你好。", "ünïcode 你好"),
        ("नमस्ते", "नमस्ते"),
        ("?!", ""),
        ("'Twas \u2018so\u2019", "twas so"),
        ("ex\u00adample", "example"),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    """Case, punctuation and spaces go; letters of every script, digits and apostrophes stay."""
    assert normalise_text(text) == normal


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_takes_a_shortcut(text: str) -> None:
    """It leads to the same words."""
    assert normalise_text(text) == " ".join(re.findall(WORD, kept(folded(text), "'")))


@given(st.text())
def test_normal_form_is_stable(text: str) -> None:
    """A second time changes nothing, nor do spaces around."""
    normal = normalise_text(text)

    assert normalise_text(f" {text}\n") == normal
    assert " ".join(normal.split()) == normal


@given(st.text(alphabet=st.characters(max_codepoint=127)), st.integers(0, 3))
def test_equal_texts_never_part(text: str, seed: int) -> None:
    """Spelling the same words otherwise does not move them to another part."""
    assert part_of(text.upper() + " !", FRACTIONS, seed) == part_of(text.lower(), FRACTIONS, seed)


def test_parts_are_the_same_everywhere() -> None:
    """The division is written down here: no version, machine or hash seed may change it."""
    parts = [part_of(f"sentence {number}", FRACTIONS, seed=17) for number in range(40)]

    assert [number for number, part in enumerate(parts) if part == "dev"] == [5, 17, 19, 22, 25, 29, 34, 35]
    assert [number for number, part in enumerate(parts) if part == "test"] == [12, 16, 20, 31, 38, 39]


def test_shares_are_met() -> None:
    """Many texts fall into parts in the shares that were asked for."""
    parts = [part_of(f"sentence {number}", FRACTIONS) for number in range(5000)]

    assert parts.count("dev") == pytest.approx(500, abs=80)
    assert parts.count("test") == pytest.approx(1000, abs=110)


def test_dev_and_order_leave_the_test_set_alone() -> None:
    """Another size of dev, or another order of the table, moves nothing into or out of test."""
    texts = [f"sentence {number}" for number in range(500)]

    tests = {text for text in texts if part_of(text, {"dev": 0.1, "test": 0.2}) == "test"}

    assert tests == {text for text in texts if part_of(text, {"test": 0.2, "dev": 0.4}) == "test"}


def test_a_seed_divides_anew() -> None:
    """Two seeds give two divisions."""
    texts = [f"sentence {number}" for number in range(50)]

    assert [part_of(t, FRACTIONS, 0) for t in texts] != [part_of(t, FRACTIONS, 1) for t in texts]


def test_whole_shares_leave_nothing_to_train() -> None:
    """Shares that sum to one claim every text."""
    assert {part_of(str(number), {"dev": 0.3, "test": 0.7}) for number in range(300)} == {"dev", "test"}


@pytest.mark.parametrize("fractions", [{"dev": -0.1}, {"dev": 0.6, "test": 0.5}])
def test_impossible_shares(fractions: dict[str, float]) -> None:
    """Shares below zero or above one together are refused."""
    with pytest.raises(ValueError, match="shares"):
        part_of("a", fractions)
