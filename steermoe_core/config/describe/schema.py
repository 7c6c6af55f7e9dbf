"""Experiment files as JSON Schema (draft 7), written from the settings classes of the installed components.

Editors use it to complete, explain and check a file (docs/how-to/editor-and-shell.md). Each table has two
forms. A *whole* table has all required keys. An *open* table is in a file with `extends`, or in a file that
others extend; it has any of the keys and may leave `use` to the other file. Tables in a list are always
whole, because a list replaces the inherited one.

The keys of a component's table depend on its `use`, which the schema expresses twice. `if`/`then` checks the
keys of the chosen component, with one clear error per mistake. The `anyOf` next to it begins with `{}`, so it
checks nothing; it lists the keys of all components for editors that do not complete from `then`.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from steermoe_core.component import KINDS, OUTSIDE
from steermoe_core.config.check.catalogue import settings_class
from steermoe_core.config.check.structurer import HUB_SOURCE
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of, plain, summary
from steermoe_core.config.groups import installed_groups
from steermoe_core.config.limits import in_json
from steermoe_core.config.text.axes import SWEEP
from steermoe_core.config.text.layers import EXTENDS
from steermoe_core.config.text.unset import UNSET
from steermoe_core.config.types import ComponentOf, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.fields import Field
    from steermoe_core.plugins import Registry

DRAFT = "http://json-schema.org/draft-07/schema#"
#: Text instead of the table [adapter]: a name on the hub, or a path, which contains a slash or begins with
#: `.` or `~`.
_SOURCE = rf"^{HUB_SOURCE.pattern}$|^(?!hub:)([.~]|[^/]*/)"
_EXTENDS: Node = {
    "type": "string",
    "description": "Path of the file that this one inherits from, starting at this file's folder.",
}
_UNSET: Node = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Dotted keys and tables of the extended files that are dropped.",
}
_SWEEP: Node = {
    "type": "object",
    "description": "Keys, each with a list of values: `steermoe sweep` runs every combination.",
    "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, {"type": "object"}]},
    "minProperties": 1,
}


def schema(registry: Registry, *, base: bool = False) -> tuple[Node, list[str]]:
    """Return the schema of this installation's experiment files, and a note for each part left out.

    :param base: for files that others extend, in which nothing is required.
    """
    return SchemaWriter(registry).schema(base=base)


class SchemaWriter:
    """Writes the schema of every table; those of components are definitions, in both forms."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.notes = [
            f"{plugin.name} ({plugin.origin}) is {plugin.status} and left out: {plugin.reason}"
            for plugin in registry.plugins
            if plugin.status != "active"
        ]
        self.parts = {kind: dict(self._parts(kind)) for kind in KINDS if kind not in OUTSIDE}

    def schema(self, *, base: bool) -> tuple[Node, list[str]]:
        """Return the schema of a file: open with `extends`, else whole."""
        open_file = self.table(Experiment, whole=False)
        open_file["properties"] = {EXTENDS: _EXTENDS, UNSET: _UNSET, **open_file["properties"]}
        whole_file = self.table(Experiment, whole=True)
        for file in (open_file, whole_file):
            file["properties"] |= {SWEEP: _SWEEP}
        definitions = {"whole": whole_file, "open": open_file}
        for kind in self.parts:
            definitions |= self._definitions(kind)
        found = {
            "$schema": DRAFT,
            "title": "steermoe experiment",
            "description": summary(Experiment),
            "type": "object",
            **_offered(_refer("open")),
            **_if({} if base else {"required": [EXTENDS]}, _refer("open"), _refer("whole")),
            "definitions": definitions,
        }
        return found, self.notes

    def table(self, cls: type, whole: bool) -> Node:  # noqa: FBT001 - `Type.schema` calls it so
        """Return the table of a settings class."""
        fields = fields_of(cls)
        properties = {key: self.key(field, whole=whole) for key, field in fields.items()}
        required = [key for key, field in fields.items() if whole and field.required]
        node: Node = {"type": "object", "description": summary(cls), "properties": properties}
        if either := getattr(cls, "EXACTLY_ONE", ()):
            one_of = {"oneOf": [{"required": [key]} for key in either]}
            node |= one_of if whole else {"not": {"required": list(either)}}
        if pairs := list(combinations(getattr(cls, "AT_MOST_ONE", ()), 2)):
            node["allOf"] = [{"not": {"required": list(pair)}} for pair in pairs]
        return {**node, "additionalProperties": False, **({"required": required} if required else {})}

    def key(self, field: Field, *, whole: bool) -> Node:
        """Return the value of a key."""
        if isinstance(field.type, ComponentOf):
            return {**self._choice(field.type, whole=whole), "description": field.doc}
        node = field.type.schema(self.table, whole=whole)
        for limit in field.limits if field.attribute.converter is None else ():
            limit.restrict(node)
        if field.by_group:
            self._name_groups(node)
        if field.doc:
            node["description"] = field.doc
        default = None if field.required else plain(field.default())
        return node if default is None else node | in_json("default", default)

    def _name_groups(self, node: Node) -> None:
        """List the parameter groups of the installed components in a table that sets values by group."""
        (table,) = (one for one in [node, *node.get("anyOf", ())] if one.get("type") == "object")
        value = table["additionalProperties"]
        table["properties"] = {
            name: {**value, "description": f"parameters of {group.component}"}
            for name, group in installed_groups(self.registry).items()
        }
        table["additionalProperties"] = False

    def _choice(self, chosen: ComponentOf, *, whole: bool) -> Node:
        """Return the value of a key that chooses a component: a table, a list of them, or tables by name."""
        kind = chosen.kind
        table, offer = self._chosen(chosen, whole=whole), _refer(f"{kind}.offer")
        if chosen.many is dict:
            return {"type": "object", "additionalProperties": table}
        if chosen.many is list:
            least = {"minItems": 1} if chosen.default is None else {}
            items = {"items": self._chosen(chosen, whole=True), **least}
            offered = _offered(offer, {"items": offer})
            types, rules = ["object", "array"], _if({"type": "array"}, items, table)
            if kind == "adapter":
                types, rules = [*types, "string"], _if({"type": "string"}, {"pattern": _SOURCE}, rules)
            return {"type": types, **offered, **rules}
        return table

    def _chosen(self, chosen: ComponentOf, *, whole: bool) -> Node:
        """Return one table that chooses a component, or leaves the choice to a default or another file."""
        kind, names = chosen.kind, list(self.parts[chosen.kind])
        known = {"properties": {"use": {"enum": names} if names else False}}
        rules = _if({"required": ["use"]}, known, self._without_use(chosen, whole=whole))
        for name in reversed(names):
            condition = {"properties": {"use": {"enum": [name]}}, "required": ["use"]}
            rules = _if(condition, _refer(_label(kind, name, whole=whole)), rules)
        return {"type": "object", **_offered(_refer(f"{kind}.offer")), **rules}

    def _without_use(self, chosen: ComponentOf, *, whole: bool) -> Node:
        """Return what a table without `use` may hold."""
        if not whole:
            return _refer(f"{chosen.kind}.any")
        if (chosen.many and not chosen.one) or chosen.default not in self.parts[chosen.kind]:
            return {"required": ["use"]}
        return _refer(_label(chosen.kind, str(chosen.default), whole=True))

    def _definitions(self, kind: str) -> dict[str, Node]:
        """Return the tables of a kind's components in both forms, and what any of them may hold."""
        found: dict[str, Node] = {}
        keys: dict[str, list[Node]] = {}
        for name, cls in self.parts[kind].items():
            for whole in (True, False):
                found[_label(kind, name, whole=whole)] = self._component(kind, name, cls, whole=whole)
            for key, node in self.table(cls, whole=False)["properties"].items():
                known = keys.setdefault(key, [])
                known += [] if node in known else [node]
        any_of = {key: nodes[0] if len(nodes) == 1 else {"anyOf": nodes} for key, nodes in keys.items()}
        found[f"{kind}.any"] = {"properties": any_of, "additionalProperties": False}
        offers = [_refer(_label(kind, name, whole=False)) for name in self.parts[kind]]
        return {**found, f"{kind}.offer": {"anyOf": offers or [{}]}}

    def _component(self, kind: str, name: str, cls: type, *, whole: bool) -> Node:
        """Return the table that chooses a component, `use` included."""
        about, origin = self.registry.get(kind, name).summary, self.registry.plugin_of(kind, name).origin
        node = self.table(cls, whole=whole)
        use = {"enum": [name], "description": f"{about} ({origin})"}
        return {**node, "properties": {"use": use, **node["properties"]}}

    def _parts(self, kind: str) -> Iterator[tuple[str, type]]:
        """Yield the components of a kind with their settings classes, except those that cannot be loaded."""
        for name in self.registry.names(kind):
            try:
                yield name, settings_class(self.registry.get(kind, name))
            except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
                origin = self.registry.plugin_of(kind, name).origin
                self.notes.append(f'{kind} "{name}" ({origin}) is left out: {type(error).__name__}: {error}')


def _offered(*forms: Node) -> Node:
    """Return forms to complete from, which check nothing."""
    return {"anyOf": [{}, *forms]}


def _if(condition: Node, then: Node, other: Node) -> Node:
    return {"if": condition, "then": then, "else": other}


def _refer(name: str) -> Node:
    return {"$ref": f"#/definitions/{name}"}


def _label(kind: str, name: str, *, whole: bool) -> str:
    """Return the name of a component's definition, in characters that need no escape in a reference."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f".{ord(c):x}" for c in name)
    return f"{kind}.{'whole' if whole else 'open'}.{plain}"
