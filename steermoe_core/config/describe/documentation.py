"""What a settings class says about its keys: type, default, limits and the text of `:param key:`.

The reference pages and `steermoe describe` both read this, so neither can drift from the code.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import attrs

from steermoe_core.component import Selection
from steermoe_core.config.fields import fields_of, plain, type_name
from steermoe_core.config.naming import article

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.fields import Field

_PARAM = re.compile(r"^:param (\w+):\s*(.*?)(?=^:\w|^\s*$|\Z)", re.MULTILINE | re.DOTALL)


@attrs.frozen(kw_only=True)
class Setting:
    """One key, as people see it.

    :param key: dotted below the component's table (`pool.kernel`).
    :param type: in words.
    :param required: an experiment has to set it.
    :param default: value where it is left out; None for no value.
    :param choices: values of a choice.
    :param limits: what a value has to satisfy.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for `--json`."""
        return attrs.asdict(self)


def summary(cls: type) -> str:
    """Return the docstring of a settings class without its parameters."""
    return cleandoc(cls.__doc__ or "").partition("\n:param ")[0].strip()


def parameters(cls: type) -> dict[str, str]:
    """Return the text of each `:param key:` of a class and its bases, on one line each."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for key, text in _PARAM.findall(cleandoc(vars(base).get("__doc__") or "")):
            texts[key] = " ".join(text.split())
    return texts


def settings(cls: type, prefix: str = "") -> list[Setting]:
    """Return every key of a settings class; the keys of a table inside it follow that table's key."""
    texts, found = parameters(cls), []
    for key, field in fields_of(cls).items():
        found.append(_setting(prefix + key, field, texts.get(key, "")))
        found += [one for inner in _tables(field.type) for one in settings(inner, f"{prefix}{key}.")]
    return found


def _setting(key: str, field: Field, doc: str) -> Setting:
    return Setting(
        key=key,
        type=f"a table: {article(field.kind)}" if field.kind else type_name(field.type),
        required=field.required,
        default=_default(field),
        choices=tuple(_choices(field.type)),
        limits=tuple(dict.fromkeys(_limits(field.attribute.validator))),
        kind=field.kind,
        doc=doc,
    )


def _default(field: Field) -> Any:
    if field.kind:
        return field.default_component or None
    return None if field.required else plain(field.default())


def _tables(annotation: Any) -> Iterator[type]:
    """Yield the settings classes that a key's table may be."""
    if attrs.has(annotation) and annotation is not Selection:
        yield annotation
    elif get_origin(annotation) is not None and get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            yield from _tables(inner)


def _choices(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (Union, list, tuple) or type(annotation).__name__ == "UnionType":
        for inner in get_args(annotation):
            yield from _choices(inner)


def _limits(validator: Any) -> Iterator[str]:
    """Yield the limits of attrs' own validators; a function of one's own says its first docstring line."""
    if validator is None:
        return
    for inside in getattr(validator, "_validators", ()):
        yield from _limits(inside)
    for nested in ("validator", "member_validator", "iterable_validator"):
        yield from _limits(getattr(validator, nested, None))
    if hasattr(validator, "compare_op"):
        yield f"{validator.compare_op} {validator.bound}"
    elif hasattr(validator, "pattern"):
        yield f"looks like {validator.pattern.pattern}"
    elif hasattr(validator, "min_length"):
        yield f"at least {validator.min_length} entries"
    elif hasattr(validator, "max_length"):
        yield f"at most {validator.max_length} entries"
    elif hasattr(validator, "options"):
        yield f"one of {', '.join(map(str, validator.options))}"
    elif hasattr(validator, "__name__") and validator.__doc__:
        yield cleandoc(validator.__doc__).splitlines()[0].rstrip(".")
