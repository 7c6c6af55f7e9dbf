"""The experiment engine that joins a frozen audio encoder to a frozen language model.

Names are imported on first use, so that ``steermoe --version`` costs no more than Python's own start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steermoe_core.component import Component, Selection, choose
    from steermoe_core.hookspecs import hookimpl
    from steermoe_core.run.transcriber import load

__all__ = ["Component", "Selection", "choose", "hookimpl", "load"]

#: Where each public name lives.
_HOMES = {
    "Component": "steermoe_core.component",
    "Selection": "steermoe_core.component",
    "choose": "steermoe_core.component",
    "hookimpl": "steermoe_core.hookspecs",
    "load": "steermoe_core.run.transcriber",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
