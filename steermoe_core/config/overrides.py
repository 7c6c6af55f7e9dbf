"""`--set KEY=VALUE`: settings from the command line, laid over the file.

KEY is a dotted path as TOML writes it; a number picks a table of an array (``metrics.0.use``), counted
from 0, and the number behind the last one adds a table. VALUE is a TOML value; what is not TOML is text,
so ``--set encoder.weights=openai/whisper-tiny`` needs no quotes. A flag that names another component
drops the old component's keys, as in an extending file; flags with `use` act first, so their order
does not matter.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import tomli

from steermoe_core.config.locate import KeyPath, Span, Spot, locate
from steermoe_core.config.source import Flag
from steermoe_core.config.words import described, dotted, table_name
from steermoe_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steermoe_core.config.layers import Layers
    from steermoe_core.config.problems import Problem

_FLAG = "--set "


@attrs.frozen
class _Override:
    flag: Flag
    keys: tuple[tuple[str, Span], ...]
    value: Any
    value_span: Span

    @property
    def order(self) -> tuple[bool, int]:
        """Flags that choose a component come first, outer tables before inner ones."""
        chooses = self.keys[-1][0] == "use"
        return (not chooses, len(self.keys) if chooses else 0)

    def problem(self, message: str, span: Span, hint: str = "") -> ConfigError:
        return ConfigError([self.flag.problem_at("E006", message, span, hint=hint)])


def apply_overrides(layers: Layers, flags: Iterable[str]) -> list[Problem]:
    """Lay every flag over the file; return the problems of those that have no place."""
    problems: list[Any] = []
    overrides = []
    for text in flags:
        try:
            overrides.append(_parse(text))
        except ConfigError as error:
            problems += error.problems
    for override in sorted(overrides, key=lambda override: override.order):
        try:
            _apply(layers, override)
        except ConfigError as error:
            problems += error.problems
    return problems


def _parse(text: str) -> _Override:
    flag = Flag("--set", _FLAG + text, Path.cwd())
    whole = Span(len(_FLAG), len(flag.text))
    keys = _keys(text)
    if keys is None:
        message = f'"{text}" is not KEY=VALUE'
        raise ConfigError([flag.problem_at("E006", message, whole, hint="for example train.steps=100")])
    equals = text.index("=", keys[-1][1].end - len(_FLAG))
    start = len(_FLAG) + equals + 1
    override = _Override(flag, keys, None, Span(start, len(flag.text)))
    return attrs.evolve(override, value=_value(override, text[equals + 1 :].strip()))


def _keys(text: str) -> tuple[tuple[str, Span], ...] | None:
    """Return the parts of the key, or None where there is no key."""
    for position in (position for position, character in enumerate(text) if character == "="):
        statement = text[:position] + "= 0"
        try:
            table: Any = tomli.loads(statement)
        except tomli.TOMLDecodeError:
            continue
        if not isinstance(table, dict) or statement.lstrip().startswith(("[", "#")) or "\n" in statement:
            return None
        spots = locate(statement)
        return tuple((str(path[-1]), _moved(spot.key, len(_FLAG))) for path, spot in spots.items())
    return None


def _value(override: _Override, text: str) -> object:
    if not text:
        message = "the value is empty"
        raise override.problem(message, override.keys[-1][1], hint='for empty text write ""')
    try:
        table = tomli.loads(f"value = {text}")
    except tomli.TOMLDecodeError:
        if text[0] in "\"'[{":
            message, hint = f"{text} is not a TOML value", "is a quote or a bracket missing?"
            raise override.problem(message, override.value_span, hint) from None
        return text
    return table["value"] if len(table) == 1 else text


def _apply(layers: Layers, override: _Override) -> None:
    """Find the place that a key names, and lay the value over what is there."""
    path: KeyPath = ()
    value: Any = layers.table
    for name, span in override.keys:
        part = _part(override, value, name, span, path)
        if part is not None:
            path = (*path, part)
            override.flag.known[path] = Spot(span, override.value_span)
            value = _child(value, part)
    _add_inner_spots(override, path)
    layers.put(path, override.value, override.flag)


def _part(override: _Override, value: object, name: str, span: Span, path: KeyPath) -> str | int | None:
    """Return a name as key or index of the value so far; None for index 0 of a table that stands alone."""
    if isinstance(value, list):
        return _index(override, value, name, span, path)
    if isinstance(value, dict) and name == "0" and "use" in value:
        return None
    if value is None and name == "0":
        return 0
    if value is None or isinstance(value, dict):
        return name
    message = f"{dotted(path)} is {described(value)}: it has no keys"
    raise override.problem(message, span)


def _index(override: _Override, items: list[Any], name: str, span: Span, path: KeyPath) -> int:
    if not name.isdigit():
        message = f"{table_name((*path, 0))} is a list of {len(items)}"
        raise override.problem(message, span, hint=f"say which one: {dotted((*path, 0))}.{name}")
    if int(name) > len(items):
        message = f"{dotted(path)} has {len(items)} entries, the next number is {len(items)}"
        raise override.problem(message, span)
    return int(name)


def _child(value: object, part: str | int) -> object:
    if isinstance(value, list):
        return value[part] if isinstance(part, int) and part < len(value) else None
    return value.get(part) if isinstance(value, dict) else None


def _add_inner_spots(override: _Override, path: KeyPath) -> None:
    """Note where the keys of an inline table or list stand in the flag."""
    if not isinstance(override.value, (dict, list)):
        return
    text = override.flag.text[len(_FLAG) :]
    for inner, spot in locate(text).items():
        if len(inner) > len(override.keys):
            moved = Spot(_moved(spot.key, len(_FLAG)), _moved(spot.value, len(_FLAG)))
            override.flag.known[(*path, *inner[len(override.keys) :])] = moved


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
