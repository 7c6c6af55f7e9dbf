"""Reading JSON that a person may have touched: the content of a file is checked against a shape.

A shape is a type, a list of one shape, a tuple of shapes of which one has to fit, or a dict of shapes by key:
a key with ``?`` at its end may be missing, ``*`` stands for every other key, and further keys may be there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = (int, float)
_NAMES = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table",
    list: "a list", type(None): "null",
}  # fmt: skip


class DamagedError(ValueError):
    """A file does not hold what it should; the message says what it holds, and not in which file."""


def read_json(path: Path, shape: Any) -> Any:
    """Return the content of a file.

    :raises FileNotFoundError: there is none.
    :raises DamagedError: it cannot be read, is not JSON or of another shape.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except IsADirectoryError:
        msg = "it is a folder"
        raise DamagedError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedError(getattr(error, "strerror", None) or "it is not UTF-8") from None
    return parsed(text, shape)


def parsed(text: str, shape: Any) -> Any:
    """Return the value of a JSON text.

    :raises DamagedError: it is not JSON, or of another shape.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        msg = "it is not JSON"
        raise DamagedError(msg) from None
    if fault := _fault(value, shape, ""):
        raise DamagedError(fault)
    return value


def _fault(value: Any, shape: Any, place: str) -> str | None:  # noqa: PLR0911 - one return a kind of shape
    """Return what is wrong with a value; None if nothing is."""
    if shape is None:
        shape = type(None)
    if isinstance(shape, tuple):
        faults = [_fault(value, one, place) for one in shape]
        return None if None in faults else faults[-1]
    if isinstance(shape, type):
        if isinstance(value, shape) and not (isinstance(value, bool) and shape in NUMBER):
            return None
        return _wrong(place, shape)
    if not isinstance(value, type(shape)):
        return _wrong(place, type(shape))
    if isinstance(shape, list):
        found = (_fault(one, shape[0], f"{place}.{number}") for number, one in enumerate(value))
        return next(filter(None, found), None)
    if missing := [key for key in shape if not key.endswith(("?", "*")) and key not in value]:
        return f"it has no {f'{place}.{missing[0]}'.lstrip('.')}"
    shapes = {key.removesuffix("?"): one for key, one in shape.items()}
    found = (
        _fault(one, shapes.get(key, shapes.get("*", object)), f"{place}.{key}") for key, one in value.items()
    )
    return next(filter(None, found), None)


def _wrong(place: str, shape: type) -> str:
    return f"{place.lstrip('.') or 'it'} is not {_NAMES[shape]}"
