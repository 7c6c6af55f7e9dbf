"""A line of a file as a terminal shows it, with a caret under the exact span.

::

       14 | stepz = 100
          | ^^^^^ did you mean "steps"?
"""

from __future__ import annotations

from unicodedata import east_asian_width

#: Characters before the bar.
GUTTER = 5
#: Characters shown before, in and behind the marked part.
_LONGEST = 100


def snippet(source: str, line: int | None, column: int, width: int, hint: str) -> list[str]:
    """Return the line and, under it, the carets with a hint behind them.

    :param source: the line of text.
    :param line: its number; None where it has none.
    :param column: character column of the first caret, from 1.
    :param width: characters to underline.
    """
    start, end = column - 1, column - 1 + width
    before = _ending(_escaped(source[:start]))
    marked, after = _beginning(_escaped(source[start:end])), _beginning(_escaped(source[end:]))
    source = before + marked + after
    carets = "^" * max(1, sum(map(_cells, marked)))
    return [
        f"{'' if line is None else line:>{GUTTER}} | {source}".rstrip(),
        f"{'':{GUTTER}} | {_padding(before)}{carets} {hint}".rstrip(),
    ]


def _escaped(text: str) -> str:
    r"""Return a text with what a terminal does not show as escapes, such as ``\x1b`` or ``\xa0``."""
    return "".join(
        one if one.isprintable() or one == "\t" else one.encode("unicode_escape").decode() for one in text
    )


def _ending(text: str) -> str:
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"


def _beginning(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _padding(text: str) -> str:
    """Return blanks as wide as the text; a tab stays a tab."""
    return "".join("\t" if character == "\t" else " " * _cells(character) for character in text)


def _cells(character: str) -> int:
    return 2 if east_asian_width(character) in "WF" else 1
