"""Every key of a settings class with its facts, for `steermoe describe` and the reference pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.fields import fields_of, plain
from steermoe_core.config.types import ComponentOf

if TYPE_CHECKING:
    from steermoe_core.config.fields import Field


@attrs.frozen(kw_only=True)
class Setting:
    """One key.

    :param key: dotted below the component's table (`pool.kernel`).
    :param type: in words.
    :param required: an experiment has to set it.
    :param default: value of a key that is left out; None for no value.
    :param choices: values of a choice.
    :param limits: what a value has to satisfy, in words.
    :param kind: kind of component that it chooses.
    :param doc: what it means.
    """

    key: str
    type: str
    required: bool
    default: Any = None
    choices: tuple[Any, ...] = ()
    limits: tuple[str, ...] = ()
    kind: str | None = None
    doc: str = ""


def settings(cls: type, prefix: str = "") -> list[Setting]:
    """Return every key of a settings class; the keys of a table inside it follow that table's key."""
    found = []
    for key, field in fields_of(cls).items():
        found.append(_setting(prefix + key, field))
        found += [one for inner in field.type.classes for one in settings(inner, f"{prefix}{key}.")]
    return found


def _setting(key: str, field: Field) -> Setting:
    if isinstance(field.type, ComponentOf):
        kind, default = field.type.kind, field.type.default or None
    else:
        kind, default = None, None if field.required else plain(field.default())
    return Setting(
        key=key,
        type=field.type.name,
        required=field.required,
        default=default,
        choices=field.type.choices,
        limits=tuple(dict.fromkeys(limit.text for limit in field.limits)),
        kind=kind,
        doc=field.doc,
    )
