"""The caret line stands under what it means, whatever the line holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from steermoe_core.config.text.snippet import escaped, snippet


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


def test_what_a_terminal_does_not_show_is_an_escape() -> None:
    """Control characters stay harmless, and the caret stands behind as many columns as the escapes take."""
    assert lines("a = \x1b[2J\x00 ?", column=11, width=1) == [r"a = \x1b[2J\x00 ?", " " * 16 + "^"]
    assert lines("a\x85b = 1", column=2, width=1) == [r"a\x85b = 1", " ^^^^"]
    assert lines("a = \u202ex\U000e0001", column=6, width=2) == [
        r"a = \u202ex\U000e0001",
        " " * 10 + "^" * 11,
    ]


def test_characters_that_sit_on_another_take_no_cell() -> None:
    """An accent of its own, a vowel of Thai or Korean."""
    assert lines("e\u0301 = 1", column=6, width=1)[1] == "    ^"
    assert lines("e\u0301 = 1", column=1, width=2)[1] == "^"
    assert lines("\u1112\u1161 = 1", column=6, width=1)[1] == " " * 5 + "^"


def test_hints_are_shown_like_the_line() -> None:
    """They quote the file, too."""
    assert lines("a", column=1, width=1, hint="did you mean \x9b?")[1] == r"^ did you mean \x9b?"


@given(
    st.text(st.sampled_from('ab"é学ｆ\x1b\x85\u0301\u0e34\U0001f3a7\u3000\u202e\x00\xa0'), min_size=1),
    st.data(),
)
def test_the_caret_stands_where_a_terminal_puts_the_character(source: str, data: st.DataObject) -> None:
    """Whatever the line holds; the widths are those of the library that draws tables."""
    source = source[:9]
    column = data.draw(st.integers(1, len(source)))
    shown, caret = lines(source, column, width=1)
    assert shown.rstrip() == escaped(source).rstrip()
    assert len(caret) - len(caret.lstrip()) == sum(map(cell_len, escaped(source[: column - 1])))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\t")))
def test_nothing_in_a_line_commands_the_terminal(source: str) -> None:
    """Whatever the line holds."""
    assert all(line.isprintable() for line in snippet(source, 7, 1, 1, source))
