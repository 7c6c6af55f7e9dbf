"""Broken limits of settings: attrs validators, run key by key so that each is reported in plain English."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from steermoe_core.config.fields import fields_of
from steermoe_core.config.naming import shown
from steermoe_core.errors import SteermoeError
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from steermoe_core.config.text.locate import KeyPath

_BOUND = re.compile(r"'\w+' must be ([<>]=?) (.+?): ")
_LENGTH = re.compile(r"Length of '\w+' must be ([<>]=?) (\d+): (\d+)")

#: Path below the table, message, hint.
Broken = tuple["KeyPath", str, str]


def broken_limits(cls: type, values: Mapping[str, Any]) -> Iterator[Broken]:
    """Yield the limits that values of a settings class break.

    Keys with another fault are not in `values`. A validator that reads one of them is skipped, and so is one
    that raises an unexpected error: creating the settings reports that.
    """
    settings = _unfinished(cls, values)
    for key, field in fields_of(cls).items():
        attribute = field.attribute
        if key not in values or attribute.validator is None or attribute.converter is not None:
            continue
        check = partial(attribute.validator, settings, attribute)
        try:
            check(values[key])
        except (ValueError, TypeError, SteermoeError) as error:
            path, wrong = _culprit(check, key, values[key], error)
            yield _message(str(path[-1]) if isinstance(path[-1], str) else key, path, wrong, error)
        except Exception:  # noqa: BLE001, S112
            continue


def _unfinished(cls: type, values: Mapping[str, Any]) -> object:
    """Return an instance with some of its attributes, created without validators."""
    settings: object = object.__new__(cls)
    for key, field in fields_of(cls).items():
        if key in values:
            object.__setattr__(settings, field.attribute.name, values[key])
        elif not field.required:
            object.__setattr__(settings, field.attribute.name, field.default())
    return settings


def _message(key: str, path: KeyPath, wrong: object, error: Exception) -> Broken:
    text = str(error.args[0]) if error.args else type(error).__name__
    if bound := _BOUND.match(text):
        return path, f"{key} must be {bound[1]} {bound[2]}, is {shown(wrong)}", ""
    if length := _LENGTH.match(text):
        return path, f"{key} must have {length[1]} {length[2]} entries, has {length[3]}", ""
    if "must match regex" in text:
        return path, f"{key} must look like {error.args[2].pattern}, is {shown(wrong)}", ""
    if "must be in" in text:
        return _not_in(path, key, wrong, error)
    return path, text if text.startswith(key) else f"{key}: {text}", ""


def _not_in(path: KeyPath, key: str, wrong: object, error: Exception) -> Broken:
    options = list(error.args[2])
    near = closest(str(wrong), map(str, options))
    hint = f'did you mean "{near}"?' if near else ""
    return path, f"{key} must be one of {', '.join(map(shown, options))}, is {shown(wrong)}", hint


def _culprit(check: Callable[[Any], object], key: str, value: Any, error: Exception) -> tuple[KeyPath, Any]:
    """Return the path and value that break a limit: an entry if the limit is one on entries."""
    if isinstance(value, dict):
        for name, entry in value.items():
            try:
                check({name: entry})
            except type(error):
                return (key, name), entry
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        try:
            check([entry])
        except type(error) as same:
            if same.args[:1] == error.args[:1]:
                return (key, index), entry
    return (key,), value
