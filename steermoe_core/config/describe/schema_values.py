"""The types and limits of single keys, as JSON Schema."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import attrs

from steermoe_core.config.fields import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core.config.fields import Field

#: A schema, or a part of one.
Node = dict[str, Any]

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}
_BOUNDS = {">=": "minimum", ">": "exclusiveMinimum", "<=": "maximum", "<": "exclusiveMaximum"}
_SIZES = {"string": "Length", "array": "Items", "object": "Properties"}
#: A value of a type that TOML cannot express: no value will do.
_IMPOSSIBLE: Node = {"not": {}}


def typed(  # noqa: PLR0911 - one return a type
    annotation: Any, table: Callable[[type, bool], Node], *, whole: bool
) -> Node:
    """Return what values of an annotation look like.

    :param table: writes the table of a settings class, whole or open.
    :param whole: whether a table has to have all that is required; in a list it always has.
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _TYPES:
        return {"type": _TYPES[annotation]}
    if annotation in (Any, object):
        return {}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        members = [typed(one, table, whole=whole) for one in inner if one is not type(None)]
        return members[0] if len(members) == 1 else {"anyOf": members}
    if attrs.has(annotation):
        return table(annotation, whole)
    if (origin or annotation) in (dict, Mapping):
        rest = {"additionalProperties": typed(inner[1], table, whole=whole)} if inner else {}
        return {"type": "object", **rest}
    if (origin or annotation) in (list, tuple, Sequence):
        return {"type": "array", **_items(origin, inner, table)}
    return dict(_IMPOSSIBLE)


def _items(origin: Any, inner: tuple[Any, ...], table: Callable[[type, bool], Node]) -> Node:
    """Return what stands in a list: one type for all, or in a tuple a type for each."""
    if not inner:
        return {}
    if origin is tuple and inner[-1] is not ...:
        each = [typed(one, table, whole=True) for one in inner]
        return {"items": each, "minItems": len(each), "maxItems": len(each)}
    return {"items": typed(inner[0], table, whole=True)}


def limit(node: Node, validator: Any) -> None:
    """Add the limits that attrs' own validators set; what a function of one's own checks is left out."""
    for inside in getattr(validator, "_validators", ()):  # and_
        limit(node, inside)
    name = type(validator).__name__
    if name == "_OptionalValidator":
        limit(node, validator.validator)
    elif name == "_DeepIterable":
        limit(node, validator.iterable_validator)
        if isinstance(node.get("items"), dict):
            limit(node["items"], validator.member_validator)
    elif name == "_DeepMapping":
        limit(node, validator.mapping_validator)
        if isinstance(node.get("additionalProperties"), dict):
            limit(node["additionalProperties"], validator.value_validator)
    else:
        node.update(_limit(node, validator))


def _limit(node: Node, validator: Any) -> Node:
    """Return the limit of a validator that has no others in it."""
    if hasattr(validator, "compare_op"):
        return _in_json(_BOUNDS[validator.compare_op], validator.bound)
    if hasattr(validator, "pattern"):
        return {"pattern": f"^({validator.pattern.pattern})$"}
    if hasattr(validator, "options"):
        return _in_json("enum", list(validator.options))
    for end in ("min", "max"):
        length = getattr(validator, f"{end}_length", None)
        if length is not None and node.get("type") in _SIZES:
            return {f"{end}{_SIZES[node['type']]}": length}
    return {}


def default(field: Field) -> Node:
    """Return what a key is where it is left out, if JSON has such a value."""
    if field.required or field.kind is not None:
        return {}
    value = plain(field.default())
    return {} if value is None else _in_json("default", value)


def _in_json(word: str, value: Any) -> Node:
    """Return a word of a schema with its value, or nothing where JSON has no such value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return {}
    return {word: value}
