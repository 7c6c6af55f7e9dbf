"""Numbers on the command line: within their limits, or refused by name."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.cli.main import main
from steermoe_core.cli.shared.flags import count, seconds


@given(st.integers(1, 10**9))
def test_whole_numbers_from_one_on(number: int) -> None:
    """As they are written."""
    assert count(str(number)) == number


@given(st.floats(min_value=0.0, exclude_min=True, allow_infinity=False))
def test_seconds_above_zero(number: float) -> None:
    """As they are written."""
    assert seconds(repr(number)) == number


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "ten", ""])
def test_what_is_no_count(text: str) -> None:
    """The message repeats it."""
    with pytest.raises(ArgumentTypeError, match=f"{text!r} is not a whole number"):
        count(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "ten", ""])
def test_what_is_no_duration(text: str) -> None:
    """Infinity is no length of a clip."""
    with pytest.raises(ArgumentTypeError, match=f"{text!r} is not a number above 0"):
        seconds(text)


@pytest.mark.parametrize(
    "words", [["evaluate", "run", "--batch-size", "0"], ["plan", "a.toml", "--seconds", "0"]]
)
def test_refused_by_the_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is loaded, with the flag's name."""
    assert main(words) == 2

    assert f"argument {words[2]}: '0' is not a" in capsys.readouterr().err
