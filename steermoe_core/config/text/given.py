"""Settings from Python: dicts that become layers, and changes that act like `--set` flags.

They are written as TOML first. So they have the limits of a file, and a message can quote a line.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.naming import described, dotted
from steermoe_core.config.text.layers import Layers, layers_of
from steermoe_core.config.text.locate import DEEPEST, Span, locate
from steermoe_core.config.text.overrides import Override, parse_key
from steermoe_core.config.text.problems import Problem
from steermoe_core.config.text.source import Given
from steermoe_core.config.text.syntax import LARGEST, SMALLEST, TOO_LARGE, BeyondError, NotTomlError, loads
from steermoe_core.config.text.write import dumps, inline
from steermoe_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.config.text.locate import KeyPath, Toml

#: What messages call a dict, and changes of an experiment.
DICT, CHANGES = "the dict", "the changes"


def given_layers(table: object, folder: Path) -> Layers:
    """Return a dict merged with the file that it extends.

    :param folder: where its relative paths start.
    :raises ConfigError: a value cannot stand in an experiment file, or the extended file cannot be read.
    """
    plain = _Plain(DICT).table(table, "an experiment")
    source = Given(DICT, dumps(plain), folder)
    loaded = _loaded(source)
    return layers_of(attrs.evolve(source, known=locate(source.text)), loaded)


def changes_of(changes: object, folder: Path) -> tuple[list[Override], list[Problem]]:
    """Return changes as overrides, and the problems of those that cannot be any.

    :param changes: values by key path, such as ``{"train.steps": 10}``.
    :param folder: where their relative paths start.
    """
    overrides: list[Override] = []
    problems: list[Problem] = []
    try:
        plain = _Plain(CHANGES).table(changes, "the argument")
    except ConfigError as error:
        return [], error.problems
    for key, value in plain.items():
        try:
            overrides.append(_change(key, value, folder))
        except ConfigError as error:
            problems += error.problems
    return overrides, problems


def _change(key: str, value: Any, folder: Path) -> Override:
    source = Given(CHANGES, f"{key} = {inline(value)}", folder)
    try:
        keys = parse_key(source.text)
    except BeyondError:
        keys = None
    if keys is None or source.text[: keys[-1][1].end].strip() != key.strip():
        message, whole = f"{described(key)} is not a key of an experiment", Span(0, max(1, len(key)))
        raise ConfigError([source.problem_at("E006", message, whole, hint='a key looks like "train.steps"')])
    _loaded(source)
    spots = locate(source.text)
    path = tuple(name for name, _ in keys)
    inner = {found[len(path) :]: spot for found, spot in spots.items() if len(found) > len(path)}
    return Override(source, keys, value, spots[path].value, inner)


def _loaded(source: Given) -> Toml:
    """Return the tables of a text that was written from Python values."""
    try:
        return loads(source.text)
    except NotTomlError as error:  # such as a time of day with a zone
        raise ConfigError([source.problem_at("E101", error.message, error.span)]) from None


class _Plain:
    """Turns Python values into those of TOML and collects what cannot be one.

    :param name: what messages call the values.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._problems: list[Problem] = []

    def table(self, values: object, what: str) -> Toml:
        """Return a whole dict.

        :param what: names it in messages.
        :raises ConfigError: with every problem.
        """
        if isinstance(values, Mapping):
            found: Toml = self._value(values, ())
        else:
            found = {}
            self._add("E101", f"{what} must be a dict, is {_type(values)}", ())
        if self._problems:
            raise ConfigError(self._problems)
        return found

    def _value(self, value: Any, path: KeyPath) -> Any:  # noqa: PLR0911 - one return a type
        if isinstance(value, (Mapping, list, tuple)) and len(path) > DEEPEST:
            self._add("E301", f"dicts and lists are nested more than {DEEPEST} deep", path[:3])
            raise ConfigError(self._problems)  # it may contain itself
        if isinstance(value, Mapping):
            keys = [key for key in value if self._is_key(key, path)]
            return {key: self._value(value[key], (*path, key)) for key in keys}
        if isinstance(value, (list, tuple)):
            return [self._value(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, (str, os.PathLike)):
            return self._text(os.fspath(value), path)
        if isinstance(value, (bool, dt.date, dt.time)):
            return value
        if isinstance(value, Integral):  # numbers of numpy as well
            return self._whole(int(value), path)
        if isinstance(value, Real):
            return float(value)
        hint = "leave the key out" if value is None else "give a number, text, True, False, a list or a dict"
        return self._add("E101", f"{_type(value)} is not a value of an experiment", path, hint)

    def _is_key(self, key: object, path: KeyPath) -> bool:
        if isinstance(key, str) and _is_unicode(key):
            return True
        self._add("E101", f"a key must be text, is {_type(key)} {key!a}", path)
        return False

    def _text(self, text: str | bytes, path: KeyPath) -> Any:
        if isinstance(text, str) and _is_unicode(text):
            return str.__str__(text)
        return self._add("E101", "the text is not Unicode", path)

    def _whole(self, number: int, path: KeyPath) -> Any:
        return number if SMALLEST <= number <= LARGEST else self._add("E301", TOO_LARGE, path)

    def _add(self, code: str, message: str, path: KeyPath, hint: str = "") -> None:
        name = f"{self._name}, {dotted(path)}" if path else self._name
        self._problems.append(Problem(code=code, message=message, path=path, file=name, hint=hint))


def _type(value: object) -> str:
    return "None" if value is None else f"a value of the type {type(value).__name__}"


def _is_unicode(text: str) -> bool:
    """Return whether a text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
