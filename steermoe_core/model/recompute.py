"""Layers that compute their activations again in the backward pass instead of keeping them.

Other names for it: gradient or activation checkpointing. A layer keeps its input alone; its forward pass is
paid for twice.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AGAIN = ContextVar("again", default=False)


def recomputed(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Return ``function(*args, **named)``, whose intermediate results are not kept for the backward pass."""
    return checkpoint(
        function, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), _backward()), **named
    )


def again() -> bool:
    """Tell whether this is the second time, in the backward pass: what was noted must not be noted twice.

    The same must be computed as the first time, whatever has a gradient: its results take the places of those
    that were not kept.
    """
    return _AGAIN.get()


@contextmanager
def _backward() -> Iterator[None]:
    token = _AGAIN.set(True)
    try:
        yield
    finally:
        _AGAIN.reset(token)
