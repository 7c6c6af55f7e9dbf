"""`--set KEY=VALUE`: settings from the command line, merged into those of the file.

KEY is a dotted path as TOML writes it; a number picks a table of an array (``metrics.0.use``), counted
from 0, and the number after the last one adds a table. VALUE is a TOML value; anything else is text,
so ``--set encoder.weights=openai/whisper-tiny`` needs no quotes. A flag that names another component
drops the old component's keys, as in an extending file; flags with `use` act first, so their order
does not matter. The axes of a sweep (`config.text.axes`) are applied in the same way.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.naming import described, dotted, shorter, shown, table_name
from steermoe_core.config.text.locate import KeyPath, Span, Spot, locate
from steermoe_core.config.text.source import Excerpt, Flag
from steermoe_core.config.text.syntax import BeyondError, NotTomlError, loads
from steermoe_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from steermoe_core.config.text.layers import Layers
    from steermoe_core.config.text.problems import Problem

_FLAG = "--set "


@attrs.frozen
class Override:
    """A value for one key.

    :param source: where it is written; records which keys it set.
    :param keys: the parts of the key, each with its place.
    :param inner: places of the keys and items inside the value.
    """

    source: Excerpt
    keys: tuple[tuple[str, Span], ...]
    value: Any
    value_span: Span
    inner: Mapping[KeyPath, Spot] = attrs.field(factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The parts of the key."""
        return tuple(name for name, _ in self.keys)

    @property
    def order(self) -> tuple[bool, int]:
        """Those that choose a component come first, outer tables before inner ones."""
        chooses = self.keys[-1][0] == "use"
        return (not chooses, len(self.keys) if chooses else 0)

    def problem(self, message: str, span: Span, hint: str = "") -> ConfigError:
        """Return the error of one that cannot be parsed or applied."""
        return ConfigError([self.source.problem_at("E006", message, span, hint=hint)])


def apply_overrides(layers: Layers, flags: Iterable[str]) -> list[Problem]:
    """Apply every flag; return the problems of those that cannot be applied."""
    overrides, problems = parse_flags(flags)
    return problems + lay_overrides(layers, overrides)


def parse_flags(flags: Iterable[str]) -> tuple[list[Override], list[Problem]]:
    """Return the overrides in some flags, and the problems of flags that are not valid."""
    overrides: list[Override] = []
    problems: list[Problem] = []
    for text in flags:
        try:
            overrides.append(_parse(text))
        except ConfigError as error:
            problems += error.problems
    return overrides, problems


def ineffective(layers: Layers, overrides: Iterable[Override]) -> Iterator[Problem]:
    """Yield a problem for each flag of whose value nothing is left, because other flags replace it."""
    kept = layers.sources
    for override in overrides:
        if override.source not in kept and not _sets_nothing(override.value):
            sources = (layers.written(path)[0] for path in override.source.known)
            flags = (one.text for one in sources if isinstance(one, Flag) and one is not override.source)
            message = f"this flag changes nothing: {next(flags, 'another one')} replaces it"
            span = Span(override.keys[0][1].start, override.keys[-1][1].end)
            yield override.source.problem_at("E008", message, span, hint="leave one of them out")


def _sets_nothing(value: object) -> bool:
    """Return whether a value is an empty table, or one of empty tables."""
    return isinstance(value, dict) and all(map(_sets_nothing, value.values()))


def lay_overrides(layers: Layers, overrides: Iterable[Override]) -> list[Problem]:
    """Apply overrides; return the problems of those that cannot be applied."""
    problems: list[Problem] = []
    for override in sorted(overrides, key=lambda override: override.order):
        try:
            _apply(layers, override)
        except ConfigError as error:
            problems += error.problems
    return problems


def _parse(text: str) -> Override:
    flag = Flag("--set", _FLAG + text, Path.cwd())
    whole = Span(len(_FLAG), len(flag.text))
    try:
        text.encode()
        keys = parse_key(text)
    except UnicodeEncodeError as error:
        place = Span(len(_FLAG) + error.start, len(_FLAG) + error.end)
        raise ConfigError([flag.problem_at("E006", "the flag is not UTF-8 text", place)]) from None
    except BeyondError as error:
        raise ConfigError([flag.problem_at("E006", error.message, whole)]) from None
    if keys is None:
        message = f"{shown(text)} is not KEY=VALUE"
        raise ConfigError([flag.problem_at("E006", message, whole, hint="for example train.steps=100")])
    keys = tuple((name, _moved(span, len(_FLAG))) for name, span in keys)
    equals = text.index("=", keys[-1][1].end - len(_FLAG))
    start = len(_FLAG) + equals + 1
    override = Override(flag, keys, None, Span(start, len(flag.text)))
    value = _value(override, text[equals + 1 :].strip())
    return attrs.evolve(override, value=value, inner=_inner_spots(text, len(keys), value))


def parse_key(text: str) -> tuple[tuple[str, Span], ...] | None:
    """Return the parts of the key before an equals sign with their places, or None if there is no key.

    :raises BeyondError: it has more parts than tables are nested.
    """
    for position in (position for position, character in enumerate(text) if character == "="):
        statement = text[:position] + "= 0"
        try:
            loads(statement)
        except BeyondError:
            raise
        except NotTomlError:
            continue
        if statement.lstrip().startswith(("[", "#")) or "\n" in statement:
            return None
        spots = locate(statement)
        return tuple((str(path[-1]), spot.key) for path, spot in spots.items())
    return None


def _value(override: Override, text: str) -> object:
    if not text:
        message = "the value is empty"
        raise override.problem(message, override.keys[-1][1], hint='for empty text write ""')
    try:
        value: Any = loads(f"{'.'.join('v' for _ in override.keys)} = {text}")
    except BeyondError as error:
        raise override.problem(error.message, override.value_span) from None
    except NotTomlError:
        if text[0] in "\"'[{":
            message, hint = f"{shorter(text)} is not a TOML value", "is a quote or a bracket missing?"
            raise override.problem(message, override.value_span, hint) from None
        return text
    for _ in override.keys:
        if len(value) > 1:  # a second line has set other keys
            return text
        (value,) = value.values()
    return value


def _apply(layers: Layers, override: Override) -> None:
    """Find the place that a key names, and set the value there."""
    path: KeyPath = ()
    value: Any = layers.table
    for name, span in override.keys:
        part = _part(override, value, name, span, path)
        if part is not None:
            path = (*path, part)
            override.source.known[path] = Spot(span, override.value_span)
            value = _child(value, part)
    for inner, spot in override.inner.items():
        override.source.known[(*path, *inner)] = spot
    layers.put(path, override.value, override.source)


def _part(override: Override, value: object, name: str, span: Span, path: KeyPath) -> str | int | None:
    """Return a name as a key or index of the current value; None for index 0 of a single table."""
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


def _index(override: Override, items: list[Any], name: str, span: Span, path: KeyPath) -> int:
    if not (name.isascii() and name.isdigit()):
        message = f"{table_name((*path, 0))} is a list of {len(items)}"
        raise override.problem(message, span, hint=f"choose one: {dotted((*path, 0))}.{name}")
    if len(name) > len(str(len(items))) or int(name) > len(items):
        message = f"{dotted(path)} has {len(items)} entries; the next index is {len(items)}"
        raise override.problem(message, span)
    return int(name)


def _child(value: object, part: str | int) -> object:
    if isinstance(value, list):
        return value[part] if isinstance(part, int) and part < len(value) else None
    return value.get(part) if isinstance(value, dict) else None


def _inner_spots(text: str, depth: int, value: object) -> dict[KeyPath, Spot]:
    """Return the places of the keys of an inline table or list in the flag.

    :param depth: parts of the flag's own key.
    """
    if not isinstance(value, (dict, list)):
        return {}
    return {
        inner[depth:]: Spot(_moved(spot.key, len(_FLAG)), _moved(spot.value, len(_FLAG)))
        for inner, spot in locate(text).items()
        if len(inner) > depth
    }


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
