"""Layers that recompute their activations in the backward pass (gradient checkpointing).

A layer keeps its input only, and runs its forward pass twice.
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
        function, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), unrecorded()), **named
    )


def again() -> bool:
    """Return whether adapters record nothing: in the recomputation, and while an answer is extended.

    The recomputation must compute the same tensors as the first pass: they replace those that were not kept.
    """
    return _AGAIN.get()


@contextmanager
def unrecorded() -> Iterator[None]:
    """Let adapters record nothing inside the block."""
    token = _AGAIN.set(True)
    try:
        yield
    finally:
        _AGAIN.reset(token)
