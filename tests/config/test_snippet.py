"""The caret line stands under what it means, whatever the line holds."""

from __future__ import annotations

from steermoe_core.config.snippet import snippet


def lines(source: str, column: int, width: int, hint: str = "") -> list[str]:
    """Return the source line and the caret line without their gutter."""
    return [line[8:] for line in snippet(source, 7, column, width, hint)]


def test_wide_characters_take_two_cells() -> None:
    """Also those before the caret."""
    assert lines('"学" = "习"', column=8, width=1) == ['"学" = "习"', "        ^^"]


def test_tabs_stay_tabs() -> None:
    """A terminal aligns both lines alike."""
    assert lines("\ta = 1", column=2, width=1, hint="b?") == ["\ta = 1", "\t^ b?"]


def test_long_lines_are_cut_around_the_caret() -> None:
    """A list of thousand numbers does not fill the screen."""
    source, caret = lines("x" * 500 + "abc" + "y" * 500, column=501, width=3)
    assert source == "…" + "x" * 100 + "abc" + "y" * 100 + "…"
    assert caret == " " * 101 + "^^^"


def test_control_characters_do_not_reach_the_terminal() -> None:
    """They are shown as escapes, and the caret stands under what it means, before them and behind them."""
    assert lines('a\x1b[2J = "\u202e"', column=9, width=3) == [r'a\x1b[2J = "\u202e"', " " * 11 + "^" * 8]
    assert lines("a = \x1b[2J", column=5, width=1) == [r"a = \x1b[2J", "    ^^^^"]
