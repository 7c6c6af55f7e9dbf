"""The process of a script or a notebook, which a run borrows and leaves as it was."""

from __future__ import annotations

import gc
import random
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from steermoe_core.errors import PluginError, UsageError
from steermoe_core.system.signals import handled, interrupt
from steermoe_core.train.ranks import ReportedElsewhereError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUSY = Lock()


@contextmanager
def borrowed() -> Iterator[None]:
    """Let a run have the process for the length of the block.

    Random numbers, CPU threads and signal handlers are restored after it, and the memory of its model is
    freed. A signal to stop becomes a `KeyboardInterrupt`, and the exit of a component an error.

    :raises UsageError: another thread has it: runs share random numbers, CPU threads and warnings.
    :raises PluginError: a component ended the program.
    """
    if not _BUSY.acquire(blocking=False):
        msg = "another run is in progress in this process; wait for it, or start a process for each run"
        raise UsageError(msg)
    try:
        with handled(interrupt), _restored():
            yield
    except ReportedElsewhereError:
        raise  # one of several processes ends without a message
    except SystemExit as stop:
        msg = f"a component of the experiment ended the program: SystemExit({stop.code!r})"
        raise PluginError(msg) from stop
    finally:
        _BUSY.release()
        gc.collect()  # a trainer refers to itself
        if _uses_cuda():
            torch.cuda.empty_cache()


@contextmanager
def _restored() -> Iterator[None]:
    # transformers seeds numpy's global numbers, too
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    threads = torch.get_num_threads()
    devices = range(torch.cuda.device_count()) if _uses_cuda() else ()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_num_threads(threads)


def _uses_cuda() -> bool:
    cuda: Any = torch.cuda  # which has no types
    return bool(cuda.is_initialized())
