"""The processes that train together: which of them this is, and what they tell one another.

A launcher (`steermoe launch`, `torchrun`) starts them and gives each its number in RANK. Without a launcher
there is one process, and nothing here costs anything. Whatever is called a collective below has to be called
by every process, in the same order.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed

from steermoe_core.errors import SetupError, SteermoeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

#: What a launcher tells each process.
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
#: How long a process waits for the others, which may have longer clips to score.
PATIENCE = timedelta(hours=2)


class ToldElsewhereError(SystemExit):
    """Ends a process whose error rank 0 tells: once is enough."""


def rank() -> int:
    """Return the number of this process among all, from 0 on."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """Return the number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Tell whether this is rank 0, the one that writes files and speaks."""
    return rank() == 0


@contextmanager
def together(device: str, *, alone_too: bool = False) -> Iterator[None]:
    """Join the other processes that a launcher started, for the length of the block.

    :param device: `cpu`, `cuda` or `auto`, where training happens.
    :param alone_too: form a group also where nothing was launched: DeepSpeed wants one of a single process.
    :raises SetupError: the launcher said too little, or there are fewer GPUs than processes.
    """
    if world() == 1 and not alone_too:
        yield
        return
    added = {} if "RANK" in os.environ else _alone()
    os.environ.update(added)
    try:
        distributed.init_process_group(_backend(device), timeout=PATIENCE)
        yield
    finally:
        _leave()
        for name in added:
            del os.environ[name]


def barrier() -> None:
    """Wait until every process is here: a collective."""
    if distributed.is_initialized():
        distributed.barrier()


def total(value: int) -> int:
    """Return the sum of every process's value: a collective."""
    if world() == 1:
        return value
    summed = torch.tensor(value, device=_device())
    distributed.all_reduce(summed)
    return int(summed)


def gathered(value: T) -> list[T]:
    """Return every process's value, in the order of their ranks: a collective."""
    if world() == 1:
        return [value]
    values: list[Any] = [None] * world()
    distributed.all_gather_object(values, value)
    return values


def make_alike(tensors: Iterable[torch.Tensor]) -> None:
    """Give every process rank 0's values of some tensors: a collective."""
    if world() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor.data, 0)


def sharing() -> dict[str, Any]:
    """Return what an `Evaluator` needs to score its share of a split and know the others'."""
    return {"rank": rank(), "ranks": world(), "gathered": gathered}


def decided(decide: Callable[[], T]) -> T:
    """Let rank 0 do something for all, and return what it returned: a collective.

    :raises ToldElsewhereError: elsewhere than on rank 0, if it failed there.
    """
    if world() == 1:
        return decide()
    message: list[Any] = [None, None]
    failure: Exception | None = None
    if first():
        try:
            message[0] = decide()
        except Exception as error:  # noqa: BLE001 - it is raised again below, when all know
            failure = error
            message[1] = int(error.exit_code) if isinstance(error, SteermoeError) else 1
    distributed.broadcast_object_list(message)
    if failure is not None:
        raise failure
    if message[1] is not None:
        raise ToldElsewhereError(message[1])
    found: T = message[0]
    return found


def _leave() -> None:
    """End the group, so that the next one in this process is a new one for DeepSpeed, too."""
    if not distributed.is_initialized():
        return
    deepspeed: Any = sys.modules.get("deepspeed.comm.comm")
    if deepspeed is None or deepspeed.cdb is None:
        distributed.destroy_process_group()
    else:
        deepspeed.destroy_process_group()  # with what DeepSpeed made of it and keeps in its modules
        deepspeed.cdb = None


def _alone() -> dict[str, str]:
    """Return what a launcher would have told a single process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return dict(zip(NAMES, ("0", "1", "0", "127.0.0.1", str(port)), strict=True))


def _backend(device: str) -> str:
    """Return how processes on this device talk, and take this process's GPU.

    :raises SetupError: there is none for it, or the launcher said too little.
    """
    if missing := [name for name in NAMES if name not in os.environ]:
        msg = (
            f"RANK or WORLD_SIZE is set, but {missing[0]} is not: start several processes with "
            "`steermoe launch` or `torchrun`, or unset them to run one"
        )
        raise SetupError(msg)
    if device == "cpu" or not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # DeepSpeed would take a GPU that is there
        return "gloo"
    place, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if place >= there:
        msg = f"process {rank()} has no GPU: this machine has {there}; start {there} processes on it"
        raise SetupError(msg)
    torch.cuda.set_device(place)
    return "nccl"


def _device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"
