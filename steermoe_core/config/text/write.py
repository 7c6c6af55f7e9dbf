"""Writing TOML: plain tables as a readable experiment file."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

from steermoe_core.config.naming import key_name, quoted, table_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steermoe_core.config.text.locate import KeyPath, Toml

_COMMENT_COLUMN = 44


def dumps(table: Toml, comment: Callable[[KeyPath], str] | None = None) -> str:
    """Return a table as TOML text.

    :param comment: returns the comment after the value at a key path; empty for none.
    :raises TypeError: for a value that TOML cannot express.
    """
    blocks = ("\n".join(block) for block in _blocks(table, (), "", comment or _nothing))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _nothing(_: KeyPath) -> str:
    return ""


def _blocks(
    table: Toml, path: KeyPath, header: str, comment: Callable[[KeyPath], str]
) -> Iterator[list[str]]:
    """Yield a table's header with its plain keys, then its sub-tables."""
    plain = {key: value for key, value in table.items() if not _is_table(value)}
    lines = [_line(key, value, comment((*path, key))) for key, value in plain.items()]
    if header and (lines or header.startswith("[[") or not table):
        yield [header, *lines]
    else:
        yield lines
    for key, value in table.items():
        if key in plain:
            continue
        here = (*path, key)
        if isinstance(value, dict):
            yield from _blocks(value, here, table_name(here), comment)
        else:
            for index, item in enumerate(value):
                yield from _blocks(item, (*here, index), table_name((*here, index)), comment)


def _is_table(value: object) -> bool:
    """Return whether a value has its own headers: a table, or a list of tables only."""
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
    )


def _line(key: str, value: object, comment: str) -> str:
    line = f"{key_name(key)} = {inline(value)}"
    return f"{line:<{_COMMENT_COLUMN}}  # {comment}" if comment else line


def inline(value: object) -> str:  # noqa: PLR0911 - one return a type
    """Return a value on one line.

    :raises TypeError: for a value that TOML cannot express.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, dict):
        pairs = (f"{key_name(key)} = {inline(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    msg = f"TOML has no value for {value!r}"
    raise TypeError(msg)
