"""Annotations, validators and defaults of settings classes, one by one, as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs.validators import (
    and_,
    deep_iterable,
    deep_mapping,
    ge,
    gt,
    in_,
    instance_of,
    le,
    lt,
    matches_re,
    max_len,
    min_len,
    not_,
    optional,
    or_,
)

from steermoe_core.config.describe.schema import SchemaWriter
from steermoe_core.config.fields import fields_of
from steermoe_core.config.types import type_of
from steermoe_core.plugins import load_registry

WRITER = SchemaWriter(load_registry(no_plugins=True))


@attrs.frozen(kw_only=True)
class Inner:
    """A table."""


class Colour(Enum):
    """Not a value of TOML."""

    RED = 1


def table(cls: type, whole: bool) -> dict:  # noqa: FBT001
    return {"$ref": f"{cls.__name__} {'whole' if whole else 'open'}"}


@pytest.mark.parametrize(
    ("annotation", "node"),
    [
        (bool, {"type": "boolean"}),
        (Path, {"type": "string"}),
        (Any, {}),
        (Literal["a", 2], {"enum": ["a", 2]}),
        (int | None, {"type": "integer"}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (Inner, {"$ref": "Inner open"}),
        (list[Inner], {"type": "array", "items": {"$ref": "Inner whole"}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {
                "type": "array",
                "items": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (list, {"type": "array", "items": {}}),
        (dict, {"type": "object", "additionalProperties": {}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Mapping[str, Inner], {"type": "object", "additionalProperties": {"$ref": "Inner open"}}),
        (complex, {"not": {}}),
    ],
)
def test_types(annotation: Any, node: dict) -> None:
    """A table in a list is whole wherever the list stands; what TOML cannot say is refused."""
    assert type_of(annotation).schema(table, whole=False) == node


@pytest.mark.parametrize(
    ("annotation", "validator", "added"),
    [
        (int, ge(1), {"minimum": 1}),
        (int, [gt(1), lt(9)], {"exclusiveMinimum": 1, "exclusiveMaximum": 9}),
        (int, and_(ge(1), le(9)), {"minimum": 1, "maximum": 9}),
        (int | None, optional(ge(1)), {"minimum": 1}),
        (str, in_(["b", "a"]), {"enum": ["b", "a"]}),
        (str, matches_re("a|b"), {"pattern": "^(a|b)$"}),
        (str, min_len(2), {"minLength": 2}),
        (list[int], [min_len(1), max_len(3)], {"minItems": 1, "maxItems": 3}),
        (list[int], deep_iterable(ge(0), min_len(1)), {
            "items": {"type": "integer", "minimum": 0}, "minItems": 1,
        }),
        (dict[str, int], deep_mapping(None, ge(0), min_len(1)), {
            "additionalProperties": {"type": "integer", "minimum": 0}, "minProperties": 1,
        }),
        (int, not_(ge(1)), {}),
        (int, or_(ge(1), in_([-5])), {}),
        (int, instance_of(int), {}),
        (int, lambda *_: None, {}),
        (str, in_(Colour), {}),
        (float, lt(float("inf")), {}),
        (int, None, {}),
    ],
)  # fmt: skip
def test_limits(annotation: Any, validator: Any, added: dict) -> None:
    """What a validator means is added; one without such a meaning adds nothing, and loosens nothing."""
    cls = attrs.make_class("Made", {"key": attrs.field(type=annotation, validator=validator)})
    node = type_of(annotation).schema(table, whole=False)
    assert WRITER.key(fields_of(cls)["key"], whole=False) == {**node, **added}


@pytest.mark.parametrize(
    ("value", "node"),
    [
        (3, {"default": 3}),
        (Path("a/b"), {"default": "a/b"}),
        (attrs.Factory(list), {"default": []}),
        (attrs.NOTHING, {}),
        (None, {}),
        (float("inf"), {}),
        (1j, {}),
    ],
)
def test_defaults(value: Any, node: dict) -> None:
    """As JSON has it, or not at all."""
    cls = attrs.make_class("Made", {"key": attrs.field(type=object, default=value)})
    assert WRITER.key(fields_of(cls)["key"], whole=False) == node
