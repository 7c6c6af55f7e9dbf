"""The limits of a setting, as documentation and JSON Schema state them, from its attrs validators."""

from __future__ import annotations

import json
from inspect import cleandoc
from itertools import product
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.naming import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.types import Node

_BOUNDS = {">=": "minimum", ">": "exclusiveMinimum", "<=": "maximum", "<": "exclusiveMaximum"}
_SIZES = {"string": "Length", "array": "Items", "object": "Properties"}


@attrs.frozen
class Limit:
    """One limit.

    :param text: in words.
    :param keyword: of JSON Schema; `min` or `max` for a number of entries; empty if there is none.
    :param value: of the keyword.
    :param depth: 0 for a limit of the value itself, 1 for one of each entry, 2 for one of their entries.
    """

    text: str
    keyword: str
    value: Any
    depth: int

    def restrict(self, node: Node) -> None:
        """Add the limit to the schema of a value."""
        target: Any = node
        for _ in range(self.depth):
            forms = [target, *target.get("anyOf", ())]
            entries = (form.get(key) for form in forms for key in ("items", "additionalProperties"))
            target = next((one for one in entries if isinstance(one, dict)), None)
            if target is None:
                return
        if self.keyword in ("min", "max"):
            if target.get("type") in _SIZES:
                target[f"{self.keyword}{_SIZES[target['type']]}"] = self.value
        elif self.keyword:
            target.update(in_json(self.keyword, self.value))


class _Numbers:
    """Validator of the numbers in a value.

    :param limits: validators of a number.
    """

    #: Of the limits: see `Limit`.
    depths: tuple[int, ...] = (0,)

    def __init__(self, *limits: Any) -> None:
        self.limits = limits

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Run every validator on every number.

        :raises ValueError: one of them does.
        """
        for number in value.values() if isinstance(value, dict) else [value]:
            for limit in () if isinstance(number, str) else self.limits:
                limit(instance, attribute, number)


class NumberOrTable(_Numbers):
    """Validator of a number, or of each number in a table."""

    depths = (0, 1)


class NumberOrWord(_Numbers):
    """Validator of a number; a word, such as `auto`, has no limits."""


def limits_of(validator: Any, depth: int = 0) -> Iterator[Limit]:
    """Yield the limits that a validator sets: those of attrs' validators, and the docstring of a function."""
    name = type(validator).__name__
    if name == "_AndValidator":
        for one in validator._validators:  # noqa: SLF001 - attrs offers no other way
            yield from limits_of(one, depth)
    elif name == "_OptionalValidator":
        yield from limits_of(validator.validator, depth)
    elif isinstance(validator, _Numbers):
        for one, deeper in product(validator.limits, validator.depths):
            yield from limits_of(one, depth + deeper)
    elif name == "_DeepIterable":
        yield from limits_of(validator.member_validator, depth + 1)
        yield from limits_of(validator.iterable_validator, depth)
    elif name == "_DeepMapping":
        yield from limits_of(validator.value_validator, depth + 1)
        yield from limits_of(validator.mapping_validator, depth)
    elif single := _limit(validator):
        yield Limit(*single, depth)


def _limit(validator: Any) -> tuple[str, str, Any] | None:  # noqa: PLR0911 - one return a validator
    """Return text, keyword and value of a validator that contains no others, or None."""
    if hasattr(validator, "compare_op"):
        operator, bound = validator.compare_op, validator.bound
        return f"{operator} {bound}", _BOUNDS[operator], bound
    if hasattr(validator, "pattern"):
        pattern = validator.pattern.pattern
        return f"looks like {pattern}", "pattern", f"^({pattern})$"
    if hasattr(validator, "min_length"):
        return f"at least {validator.min_length} entries", "min", validator.min_length
    if hasattr(validator, "max_length"):
        return f"at most {validator.max_length} entries", "max", validator.max_length
    if hasattr(validator, "options"):
        options = list(validator.options)
        return f"one of {', '.join(map(str, options))}", "enum", options
    if hasattr(validator, "__name__") and validator.__doc__:
        return first_line(cleandoc(validator.__doc__)).rstrip("."), "", None
    return None


def in_json(keyword: str, value: Any) -> Node:
    """Return a keyword of a schema with its value, or nothing if JSON cannot express the value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return {}
    return {keyword: value}
