"""Dropping keys and tables: `unset = ["KEY", …]` in a file that extends another, and `--unset KEY`.

    extends = "base.toml"
    unset = ["data.eval.librivox", "train.deepspeed"]

A key is dotted, as in a `--set` flag. The list of a file drops what the extended files set, before the file's
own tables are merged, so that a table can be replaced as a whole. A flag drops what the file sets, before any
`--set` flag. What is dropped has its default again. A key that is not set is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.config.naming import described, dotted, shown
from steermoe_core.config.text.locate import Span
from steermoe_core.config.text.overrides import parse_key
from steermoe_core.config.text.source import Flag
from steermoe_core.config.text.syntax import BeyondError
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from steermoe_core.config.text.layers import Layers
    from steermoe_core.config.text.locate import KeyPath, Toml
    from steermoe_core.config.text.problems import Problem
    from steermoe_core.config.text.source import Source

UNSET = "unset"
_FLAG = "--unset "


class Unset(str):
    """The KEY of an `--unset` flag, among the KEY=VALUE texts of `--set` flags."""

    __slots__ = ()


def drop_listed(layers: Layers, keys: object, source: Source, *, inherits: bool) -> Iterator[Problem]:
    """Drop the inherited keys that a file lists; yield the problems of the list.

    :param keys: the value of `unset`.
    :param inherits: whether the file extends another.
    """
    if not isinstance(keys, list):
        hint = f"write [{shown(keys)}]" if isinstance(keys, str) else ""
        message = f"{UNSET} must be a list, is {described(keys)}"
        yield source.problem("E101", message, (UNSET,), hint=hint)
    elif not inherits:
        message = f"{UNSET} drops inherited keys, but the file does not extend another"
        yield source.problem("E008", message, (UNSET,), "key")
    else:
        for number, key in enumerate(keys):
            place = (UNSET, number)
            if not isinstance(key, str):
                message = f"entry {number + 1} of {UNSET} must be text, is {described(key)}"
                yield source.problem("E101", message, place)
            elif fault := _drop(layers, key, "the extended files set"):
                code, message, hint = fault
                yield source.problem(code, message, place, hint=hint)


def drop_flagged(layers: Layers, keys: Iterable[str]) -> Iterator[Problem]:
    """Drop the keys of `--unset` flags; yield the problems of those that cannot be dropped."""
    for key in keys:
        if fault := _drop(layers, key, "the experiment file sets"):
            code, message, hint = fault
            flag = Flag("--unset", _FLAG + key, Path.cwd())
            yield flag.problem_at(code, message, Span(len(_FLAG), len(flag.text)), hint=hint)


def set_keys(table: Toml, path: KeyPath = ()) -> Iterator[str]:
    """Yield the dotted keys of some tables, tables included."""
    for key, value in table.items():
        yield dotted((*path, key))
        if isinstance(value, dict):
            yield from set_keys(value, (*path, key))


def _drop(layers: Layers, key: str, nothing: str) -> tuple[str, str, str] | None:
    """Drop a key; return code, message and hint of the fault if it cannot be dropped.

    :param nothing: who should have set it, for the message.
    """
    path = _parts(key)
    if path is None:
        return "E006", f"{shown(key)} is not a key", "for example train.steps"
    value: Any = layers.table
    for depth, part in enumerate(path):
        if isinstance(value, list):
            name = dotted(path[:depth])
            return "E006", f"{name} is a list, which is inherited as a whole", f"drop {name}, or set it again"
        if not isinstance(value, dict) or part not in value:
            near = closest(part, value if isinstance(value, dict) else ())
            hint = f'did you mean "{dotted((*path[:depth], near, *path[depth + 1 :]))}"?' if near else ""
            return "E008", f"nothing to unset: {nothing} no {dotted(path)}", hint
        value = value[part]
    layers.drop(path)
    return None


def _parts(key: str) -> tuple[str, ...] | None:
    try:
        keys = parse_key(f"{key}=")
    except (BeyondError, UnicodeEncodeError):
        return None
    return None if keys is None else tuple(name for name, _ in keys)
