"""Settings as an experiment would give them: read as strictly, without an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomli

from steermoe_core.config.check.structurer import selection
from steermoe_core.config.fields import plain
from steermoe_core.config.naming import LISTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steermoe_core.component import Selection
    from steermoe_core.plugins import Registry


def structured(registry: Registry, kind: str, table: Mapping[str, Any]) -> Selection:
    """Return the choice of a component that a table with a `use` key makes.

    :raises UsageError: an experiment would not accept it; says why.
    """
    return selection(registry, kind, {key: _plain(value) for key, value in table.items()})


def chosen_table(text: str, kind: str) -> dict[str, Any]:
    """Return the table of a kind's component in TOML that chooses one, as `steermoe describe` prints it."""
    whole = tomli.loads(text)
    if kind == "router":
        return dict(whole["adapter"]["router"])
    if kind == "dataset":
        return dict(whole["data"]["train"])
    return dict(whole[LISTS[kind]][0] if kind in LISTS else whole[kind])


def _plain(value: Any) -> Any:
    """Return a value as TOML has it; tables may hold paths."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return plain(value)
