"""Reading an experiment file, and its syntax errors in plain words."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import tomli

from steermoe_core.config.locate import Span
from steermoe_core.config.problems import Problem
from steermoe_core.config.source import Source
from steermoe_core.errors import ConfigError

_TWICE = re.compile(r"Cannot (overwrite|declare|redefine|mutate)")
_PLAIN = (
    (re.compile(r"Invalid value"), "there is no TOML value here"),
    (re.compile(r"Cannot overwrite a value"), "this key is written twice"),
    (re.compile(r"Cannot declare .* twice"), "this table is written twice"),
    (re.compile(r"Cannot (declare|redefine|mutate).*"), "this table is already defined in another way"),
    (re.compile(r"Expected '=' after a key.*"), 'a key needs "=" and a value'),
    (re.compile(r"Expected newline or end of document after a statement"), "the line should end here"),
    (re.compile(r"Unclosed array"), 'the list is never closed with "]"'),
    (re.compile(r"Unterminated string|Expected [\"']|Illegal character '\\n'"), "this text has no end quote"),
)
_WORDS = {"True": "true", "False": "false", "yes": "true", "no": "false", "on": "true", "off": "false"}
_NO_VALUE = {"None", "null", "nil", "none"}


def shown_path(path: Path) -> str:
    """Return a path as the user would type it: relative where it lies in the working directory."""
    absolute, here = os.path.abspath(path), os.getcwd()  # noqa: PTH100, PTH109 - no links resolved
    inside = absolute.startswith(here.rstrip(os.sep) + os.sep)
    return os.path.relpath(absolute, here) if inside else absolute


def read(path: Path) -> tuple[Source, dict[str, Any]]:
    """Read an experiment file.

    :returns: its text with positions, and its raw tables.
    :raises ConfigError: when it cannot be read, is not UTF-8 or not TOML.
    """
    source = Source(shown_path(path), _text(path), Path(os.path.abspath(path)).parent)  # noqa: PTH100
    try:
        return source, tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(source, error)]) from None
    except RecursionError:
        message = "lists or inline tables are nested too deeply"
        raise ConfigError([Problem(code="E003", message=message, file=source.name)]) from None


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([unreadable("E001", path, error)]) from None
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start + 1} (0x{raw[error.start]:02x}, in line {line}) is not UTF-8"
        hint = "save the file as UTF-8"
        raise ConfigError([Problem(code="E002", message=message, file=shown_path(path), hint=hint)]) from None


def unreadable(code: str, path: Path, error: OSError) -> Problem:
    """Return the problem of a file that cannot be opened."""
    return Problem(code=code, message=f"cannot read the file: {reason(error)}", file=shown_path(path))


def reason(error: OSError) -> str:
    """Return what the system says, in lower case: `no such file or directory`."""
    return (error.strerror or str(error)).lower()


def _syntax_problem(source: Source, error: tomli.TOMLDecodeError) -> Problem:
    start = min(error.pos, len(source.text.rstrip("\n")))
    if _TWICE.match(error.msg):
        return source.problem_at("E003", _plain(error.msg), _statement(source.text, start))
    word = re.match(r"[^\s,\]}#]*", source.text[start:])
    span = Span(start, start + max(1, word.end() if word else 1))
    hint = _hint(error.msg, source.text[start : span.end])
    return source.problem_at("E003", _plain(error.msg), span, hint=hint)


def _plain(message: str) -> str:
    for pattern, plain in _PLAIN:
        if pattern.match(message):
            return plain
    return message[:1].lower() + message[1:]


def _hint(message: str, word: str) -> str:
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
