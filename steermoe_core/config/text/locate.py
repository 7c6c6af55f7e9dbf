"""The place of each key in a TOML text.

tomli keeps no positions. This scanner reads only text that tomli has accepted, so it does not check for
mistakes: it splits the text into keys and values and counts the tables of arrays. It stops at tables that are
nested deeper than in any experiment, so that no later reader has to handle them.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
import tomli

#: A key path: names of tables and keys, and indices into arrays.
KeyPath = tuple[str | int, ...]
#: A TOML table.
Toml = dict[str, Any]

#: Tables and lists inside each other; experiments have about six.
DEEPEST = 64

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:\\.|[^"\\])*"|'[^']*'|[\w-]+)[ \t]*""")
#: Pattern of a text with its quotes; a dot in it is any character.
STRING = r'''"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'{3}.*?\'{3}(?:\'{0,2})|"(?:\\.|[^"\\])*"|\'[^\']*\''''
_STRING = re.compile(STRING, re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]*[^,\]}#\n \t]")


@attrs.frozen
class Span:
    """A stretch of text.

    :param start: offset of its first character.
    :param end: offset after its last character.
    """

    start: int
    end: int


@attrs.frozen
class Spot:
    """The place of one key.

    :param key: its name; for an item of an array, the item.
    :param value: its value; for a table with a header, the last name in the header.
    """

    key: Span
    value: Span


class TooDeepError(Exception):
    """Tables or lists are nested more than `DEEPEST` deep.

    :param span: the key or bracket that begins the first that is too deep.
    """

    def __init__(self, span: Span) -> None:
        super().__init__(span)
        self.span = span


def locate(text: str) -> dict[KeyPath, Spot]:
    """Return the spot of every key, table and array item of a valid TOML text.

    :param text: with line feeds as line ends, valid up to the first table or list that is too deep.
    :raises TooDeepError: tables or lists are nested too deep.
    """
    return _Scanner(text).document()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.spots: dict[KeyPath, Spot] = {}
        self.last_index: dict[KeyPath, int] = {}

    def document(self) -> dict[KeyPath, Spot]:
        table: KeyPath = ()
        while self._skip_blank() < len(self.text):
            if self.text[self.position] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.spots

    def _skip_blank(self) -> int:
        return self._take(_BLANK).end

    def _take(self, pattern: re.Pattern[str], group: int = 0) -> Span:
        match = pattern.match(self.text, self.position)
        if match is None:
            return Span(self.position, self.position)
        self.position = match.end()
        return Span(*match.span(group))

    def _header(self) -> KeyPath:
        brackets = 2 if self.text.startswith("[[", self.position) else 1
        self.position += brackets
        path: KeyPath = ()
        *parents, (name, span) = self._names()
        self.position += brackets
        for parent, parent_span in parents:
            path = _entered(self._inside((*path, parent)), parent_span)
            self.spots.setdefault(path, Spot(parent_span, parent_span))
        path = _entered((*path, name), span)
        if brackets == 1:
            self.spots[path] = Spot(span, span)
            return path
        self.spots.setdefault(path, Spot(span, span))
        self.last_index[path] = self.last_index.get(path, -1) + 1
        path = self._inside(path)
        self.spots[path] = Spot(span, span)
        return path

    def _inside(self, path: KeyPath) -> KeyPath:
        """Return the path of the newest table where `path` is an array of tables."""
        return (*path, self.last_index[path]) if path in self.last_index else path

    def _names(self) -> list[tuple[str, Span]]:
        names = []
        while True:
            span = self._take(_KEY, group=1)
            names.append((_name(self.text[span.start : span.end]), span))
            if len(names) > DEEPEST + 1:
                raise TooDeepError(names[DEEPEST][1])
            if self.text[self.position] != ".":
                return names
            self.position += 1

    def _pair(self, table: KeyPath) -> None:
        *parents, (name, span) = self._names()
        path = table
        for parent, parent_span in parents:
            path = _entered((*path, parent), parent_span)
            self.spots.setdefault(path, Spot(parent_span, parent_span))
        self.position += len("=")
        path = (*path, name)
        self.spots[path] = Spot(span, self._value(path))

    def _value(self, path: KeyPath) -> Span:
        start = self._skip_blank()
        if self.text[start] == "[":
            self._items(_entered(path, Span(start, start + 1)))
        elif self.text[start] == "{":
            self._pairs(_entered(path, Span(start, start + 1)))
        else:
            self._take(_STRING if self.text[start] in "\"'" else _SCALAR)
        return Span(start, self.position)

    def _items(self, path: KeyPath) -> None:
        index = 0
        while self._more("]"):
            item = (*path, index)
            span = self._value(item)
            self.spots[item] = Spot(span, span)
            index += 1

    def _pairs(self, path: KeyPath) -> None:
        while self._more("}"):
            self._pair(path)

    def _more(self, closing: str) -> bool:
        """Step over the opening bracket or a comma; return whether another entry follows."""
        if self.text[self._skip_blank()] != closing:
            self.position += 1
            self._skip_blank()
        if self.text[self.position] == closing:
            self.position += 1
            return False
        return True


def _entered(path: KeyPath, span: Span) -> KeyPath:
    """Return the path of a table or list that is not too deep."""
    if len(path) > DEEPEST:
        raise TooDeepError(span)
    return path


def _name(written: str) -> str:
    """Return the name that a bare or quoted key stands for."""
    if written[0] not in "\"'":
        return written
    (name,) = tomli.loads(f"{written} = 0")
    return name
