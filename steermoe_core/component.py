"""The record that a plugin yields for each part it offers, and the choice of a part in an experiment.

Nothing here imports a plugin's code: a `Component` names its classes as ``"module:attribute"`` and
they are imported when somebody needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import attrs

#: The hook contract that this engine speaks; a component says which one it was written for.
API = 1
#: The oldest contract that still loads.
OLDEST_API = 1

KINDS = (
    "encoder",
    "adapter",
    "router",
    "projector",
    "decoder",
    "dataset",
    "collator",
    "metric",
    "callback",
    "weights",
)


@attrs.frozen(kw_only=True)
class Component:
    """One part that a plugin offers.

    :param name: what `use = "…"` says in an experiment.
    :param api: the hook contract it was written for (`steermoe_core.component.API`).
    :param summary: one line for lists.
    :param config: ``"module:Class"`` of its attrs class of settings; cheap to import.
    :param factory: ``"module:attribute"`` that builds it; imported when a run needs it.
    """

    name: str = attrs.field(validator=attrs.validators.matches_re(r"[A-Za-z0-9][\w./-]*"))
    api: int = attrs.field(validator=attrs.validators.instance_of(int))
    summary: str = attrs.field(validator=attrs.validators.instance_of(str))
    config: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+:\w+"))
    factory: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+:\w+"))

    def config_class(self) -> type:
        """Import and return the attrs class of its settings."""
        cls: type = load(self.config)
        return cls

    def build(self, config: object, *context: Any, **named: Any) -> Any:
        """Import the factory and call it with the settings and what its kind is given."""
        return load(self.factory)(config, *context, **named)


@attrs.frozen
class Selection:
    """A component chosen by an experiment, with its settings: what a table with a `use` key becomes."""

    kind: str
    name: str
    config: Any


@attrs.frozen
class Trained:
    """The settings of a `Selection` that takes a part as it was trained, with the tables it was trained by.

    :param source: a run or adapter folder, or ``hub:OWNER/NAME``, with ``@REVISION`` if not the newest.
    """

    source: str


def choose(kind: str, default: str | None = None) -> Any:
    """Return an attrs field that holds a `Selection` of one kind.

    :param default: name of the component to take when the experiment has no such table; without it
        the table is required.
    """
    if kind not in KINDS:
        msg = f"{kind!r} is not a kind of component"
        raise ValueError(msg)
    metadata = {"kind": kind, "default": default}
    return attrs.field(default=attrs.NOTHING if default is None else None, metadata=metadata)


def load(path: str) -> Any:
    """Return the object that ``"module:attribute"`` names."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
