"""A line of a file as a terminal shows it, with carets under the exact span.

::

       14 | stepz = 100
          | ^^^^^ did you mean "steps"?
"""

from __future__ import annotations

from unicodedata import category, east_asian_width

#: Characters before the bar.
GUTTER = 5
#: Characters shown before, in and after the marked part.
_LONGEST = 100


def snippet(source: str, line: int | None, column: int, width: int, hint: str) -> list[str]:
    """Return the line and, below it, the carets followed by a hint.

    :param source: the line of text.
    :param line: its number; None if it has none.
    :param column: character column of the first caret, from 1.
    :param width: characters to underline.
    """
    start, end = column - 1, column - 1 + width
    before, marked, after = escaped(source[:start]), escaped(source[start:end]), escaped(source[end:])
    before, marked, after = _ending(before), _beginning(marked), _beginning(after)
    carets = "^" * max(1, sum(map(_cells, marked)))
    return [
        f"{'' if line is None else line:>{GUTTER}} | {before}{marked}{after}".rstrip(),
        f"{'':{GUTTER}} | {_padding(before)}{carets} {escaped(hint)}".rstrip(),
    ]


def escaped(text: str) -> str:
    r"""Return a text with escapes (`\x1b`) for characters that a terminal does not show or that control it.

    Tabs stay tabs.
    """
    return "".join(one if one.isprintable() or one == "\t" else ascii(one)[1:-1] for one in text)


def _ending(text: str) -> str:
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"


def _beginning(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _padding(text: str) -> str:
    """Return blanks as wide as the text; a tab stays a tab."""
    return "".join("\t" if character == "\t" else " " * _cells(character) for character in text)


def _cells(character: str) -> int:
    """Return the columns of a terminal that a character takes: none, one or two."""
    if category(character)[0] == "M" or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
