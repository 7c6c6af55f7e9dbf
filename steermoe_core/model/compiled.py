"""Frozen layers compiled by torch: what lies between their matrix products runs in few fused kernels.

Only layers are compiled, each tower's once: they share their code, and clips of any length share it, too.
Adapters, projector and loss are computed as always.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core.model.encoder import Layer


def compiled(layer: Layer) -> Layer:
    """Return a layer that is compiled the first time that it is called, or another one like it."""
    return partial(_compiled(), layer)


def check_compiler(device: torch.device) -> None:
    """Stop where torch has no compiler for a device.

    :raises SetupError: it says which one is missing.
    """
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        found, needed = has_triton(), "Triton, and a GPU of compute capability 7.0 or higher"
    else:
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            found = bool(get_cpp_compiler())
        except InvalidCxxCompiler:
            found = False
        needed = "a C++ compiler, such as g++"
    if not found:
        msg = f"train.compile needs {needed}; install it, or set train.compile = false"
        raise SetupError(msg)


@cache
def _compiled() -> Callable[..., Any]:
    # Lengths are unknowns from the start: code for the first length would be thrown away with the second. Nor
    # are they taken for the same unknown where they happen to equal another size in the first batch.
    from torch.fx.experimental import _config

    _config.use_duck_shape = False
    return torch.compile(_call, dynamic=True)


def _call(layer: Layer, *args: Any, **named: Any) -> Any:
    return layer(*args, **named)
