"""How messages name values, tables and keys: `"text"`, `true`, `[data.train]`, `metrics.0.use`."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING

from steermoe_core.system.printing import safe_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.config.text.locate import KeyPath

#: The table of each kind of which an experiment may choose several components: ``[[metrics]]``.
LISTS = {"augmentation": "augment", "metric": "metrics", "callback": "callbacks"}
_LONGEST = 60
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def shown(value: object) -> str:
    """Return a value as TOML would write it, shortened if it is long."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, str):
        return shorter(json.dumps(value, ensure_ascii=False), end='"')
    return shorter("true" if value is True else "false" if value is False else str(value))


def shorter(text: str, end: str = "") -> str:
    """Return a text, or the beginning of a long one."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…{end}"


def described(value: object) -> str:
    """Return a value with its type: `the text "7"`, `true`, `the number 3.7`."""
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"the number {shown(value)}"
    if isinstance(value, (dt.date, dt.time)):
        return f"the date {value}"
    return shown(value)


def table_name(path: KeyPath) -> str:
    """Return ``[data.train]`` or, for a table of an array, ``[[metrics]]``."""
    names = ".".join(key_name(part) for part in path if isinstance(part, str))
    return f"[[{names}]]" if path and isinstance(path[-1], int) else f"[{names}]"


def dotted(path: KeyPath) -> str:
    """Return a path as `--set` writes it: ``metrics.0.use``."""
    return ".".join(key_name(str(part)) for part in path)


def key_name(name: str) -> str:
    """Return a key as TOML writes it: bare if possible, else quoted."""
    return name if _BARE.fullmatch(name) else quoted(name)


def quoted(text: str) -> str:
    """Return a TOML basic string."""
    return safe_json(json.dumps(text, ensure_ascii=False))


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names, and how many more there are: `a, b, c and 4 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def first_line(text: object) -> str:
    """Return the first line of a text, at most 200 characters; of an error without text, its type."""
    return (str(text).strip().splitlines() or [type(text).__name__])[0][:200]


def article(word: str) -> str:
    """Return a word with its article: `an encoder`."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
