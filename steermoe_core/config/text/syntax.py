"""Reading an experiment file, with syntax errors in plain English."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli

from steermoe_core.config.text.locate import DEEPEST, STRING, Span, TooDeepError, locate
from steermoe_core.config.text.problems import Problem
from steermoe_core.config.text.source import Source
from steermoe_core.errors import ConfigError

if TYPE_CHECKING:
    from steermoe_core.config.text.locate import KeyPath, Toml

_TWICE = re.compile(r"Cannot (overwrite|declare|redefine|mutate)")
_PLAIN = (
    (re.compile(r"Invalid value"), "there is no TOML value here"),
    (re.compile(r"Cannot overwrite a value"), "this key is set twice"),
    (re.compile(r"Cannot declare .* twice"), "this table is defined twice"),
    (re.compile(r"Cannot (declare|redefine|mutate).*"), "this table is already defined in another way"),
    (re.compile(r"Expected '=' after a key.*"), 'a key needs "=" and a value'),
    (re.compile(r"Expected newline or end of document after a statement"), "the line should end here"),
    (re.compile(r"Unclosed array"), 'the list is never closed with "]"'),
    (
        re.compile(r"Unterminated string|Expected [\"']|Illegal character '\\n'"),
        "this text has no closing quote",
    ),
    (re.compile(r"(Illegal|Found invalid) character"), "TOML does not allow this character here"),
)
_WORDS = {"True": "true", "False": "false", "yes": "true", "no": "false", "on": "true", "off": "false"}
_NO_VALUE = {"None", "null", "nil", "none"}
#: Characters that end a line for other programs, but not in TOML.
_LINE_ENDS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_ENCODINGS = {"utf-16": "UTF-16", "utf-32": "UTF-32"}
#: The whole numbers of TOML have 64 bits.
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_TOO_LARGE = f"a whole number is at most {_LARGEST} and at least {_SMALLEST}"
#: Texts, comments and whole numbers.
_NUMBERS = re.compile(rf"(?s:{STRING})|#[^\n]*|(?P<number>(?<![\w.])[+-]?\d[\d_]*(?![\d_]|\.\d|[eE][+-]?\d))")


class NotTomlError(Exception):
    """A text is not TOML.

    :param message: one sentence.
    :param span: place of the error.
    :param hint: what to write instead.
    """

    def __init__(self, message: str, span: Span, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.span, self.hint = message, span, hint


class BeyondError(NotTomlError):
    """A text is TOML, but is nested deeper or has larger numbers than TOML requires readers to accept."""


def shown_path(path: Path) -> str:
    """Return a path as the user would type it: relative if it is inside the working directory."""
    absolute, here = os.path.abspath(path), os.getcwd()  # noqa: PTH100, PTH109 - no links resolved
    inside = absolute.startswith(here.rstrip(os.sep) + os.sep)
    return os.path.relpath(absolute, here) if inside else absolute


def read(path: Path) -> tuple[Source, Toml]:
    """Read an experiment file.

    :returns: its text with positions, and its raw tables.
    :raises ConfigError: when it cannot be read, is not UTF-8 or not TOML.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([unreadable("E001", path, error)]) from None
    name, folder = shown_path(path), Path(os.path.abspath(path)).parent  # noqa: PTH100
    if wrong := _undecodable(raw):
        text, message, span = wrong
        source = Source(name, text, folder)
        raise ConfigError([source.problem_at("E002", message, span, hint="save the file as UTF-8")])
    source = Source(name, raw.decode("utf-8-sig").replace("\r\n", "\n"), folder)
    try:
        return source, loads(source.text)
    except NotTomlError as error:
        raise ConfigError([source.problem_at("E003", error.message, error.span, hint=error.hint)]) from None


def loads(text: str) -> Toml:
    """Return the tables of a text.

    :param text: with line feeds as line ends.
    :raises BeyondError: it is nested too deep, or has a whole number of more than 64 bits.
    :raises NotTomlError: it is not TOML.
    """
    try:
        table = tomli.loads(text.replace("\r", "\0"))  # equally invalid, but tomli would read \r\r\n as \r\n
        for path, spot in locate(text).items():
            _check_number(_at(table, path), spot.value)
    except tomli.TOMLDecodeError as error:
        raise _not_toml(text, error) from None
    except (TooDeepError, RecursionError):
        raise _too_deep(text) from None
    except ValueError:  # Python converts no number of that many digits
        raise BeyondError(_TOO_LARGE, _longest(text)) from None
    return table


def reason(error: OSError) -> str:
    """Return the message of the operating system in lower case: `no such file or directory`."""
    return (error.strerror or str(error)).lower()


def unreadable(code: str, path: Path, error: OSError) -> Problem:
    """Return the problem of a file that cannot be opened."""
    return Problem(code=code, message=f"cannot read the file: {reason(error)}", file=shown_path(path))


def _undecodable(raw: bytes) -> tuple[str, str, Span] | None:
    """Return why bytes are not UTF-8: as much of the text as can be shown, a message, and the place."""
    encoding = json.detect_encoding(raw)
    marked = encoding in _ENCODINGS
    if marked or (
        encoding[:6] in _ENCODINGS and raw.count(0) > len(raw) // 4
    ):  # not a stray NUL at the start
        text = raw.decode(encoding, "replace").replace("\r\n", "\n")
        return text, f"the file is {_ENCODINGS[encoding[:6]]}, not UTF-8", Span(0, 1)
    try:
        raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig").replace("\r\n", "\n")
        text = before + raw[error.start :].decode("utf-8", "backslashreplace").replace("\r\n", "\n")
        message = f"byte {error.start + 1} of the file (0x{raw[error.start]:02x}) is not UTF-8"
        return text, message, Span(len(before), len(before) + len(r"\xff"))
    return None


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        value = value[part]
    return value


def _check_number(value: object, span: Span) -> None:
    if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        raise BeyondError(_TOO_LARGE, span)


def _longest(text: str) -> Span:
    """Return the place of the longest whole number."""
    spans = [match.span("number") for match in _NUMBERS.finditer(text) if match["number"]]
    return Span(*max(spans, key=lambda span: span[1] - span[0]))


def _too_deep(text: str) -> BeyondError:
    try:
        locate(text)
    except TooDeepError as error:
        return BeyondError(f"tables and lists are nested more than {DEEPEST} deep", error.span)
    raise AssertionError


def _not_toml(text: str, error: tomli.TOMLDecodeError) -> NotTomlError:
    start = min(error.pos, len(text.rstrip("\n")))
    if _TWICE.match(error.msg):
        return NotTomlError(_plain(error.msg), _statement(text, start))
    word = re.match(r"[^\s,\]}#]*", text[start:])
    span = Span(start, start + max(1, word.end() if word else 1))
    return NotTomlError(_plain(error.msg), span, _hint(error.msg, text[start : span.end]))


def _plain(message: str) -> str:
    for pattern, plain in _PLAIN:
        if pattern.match(message):
            return plain
    return message[:1].lower() + message[1:]


def _hint(message: str, word: str) -> str:
    if word[:1] and word[0] in _LINE_ENDS:
        return f"U+{ord(word[0]):04X} does not end a line in TOML: save the file with line feeds"
    if word[:1] and not word[0].isprintable() and word[0] not in "\n\t":
        return f"remove U+{ord(word[0]):04X}"
    if message != "Invalid value":
        return ""
    if word in _WORDS:
        return f"did you mean {_WORDS[word]}?"
    if word in _NO_VALUE:
        return "TOML has no empty value: leave the key out"
    return f'text needs quotes: "{word}"' if re.match(r"[A-Za-z/.~]", word) else ""


def _statement(text: str, position: int) -> Span:
    """Return the key or header at the start of the line that ends near a position."""
    start = text.rfind("\n", 0, position) + 1
    match = re.compile(r"[ \t]*(\[[^\n]*\]|[^\n=]*[^\n= \t])").match(text, start)
    return Span(*match.span(1)) if match else Span(position, position)
