"""Where a run computes: the device and the CPU threads that its experiment names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from torch import nn

    Module = TypeVar("Module", bound=nn.Module)


def move(module: Module, device: str) -> Module:
    """Put a model, or a part of one, where the experiment wants it.

    :raises SetupError: there is no such device.
    """
    found = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" != found:
        msg = 'torch finds no GPU for device "cuda"; take "auto" or "cpu", or see `steermoe doctor`'
        raise SetupError(msg)
    return module.to(found if device == "auto" else device)


def available() -> int:
    """Return the bytes of memory that a process can still take on this machine, as far as Linux tells."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return sys.maxsize
    kilobytes = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return 1024 * next(kilobytes, sys.maxsize)


def set_threads(threads: int) -> None:
    """Use so many CPU threads; 0 leaves torch's choice, one a core."""
    if threads:
        torch.set_num_threads(threads)
