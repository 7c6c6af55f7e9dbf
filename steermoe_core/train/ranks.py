"""The processes of a distributed run: the rank of this one, and collectives.

A launcher (`steermoe launch`, `torchrun`) starts the processes and sets RANK. Without one there is a single
process, and every function here returns at once. All processes call the collectives, in the same order.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from steermoe_core.errors import SetupError, SteermoeError
from steermoe_core.system.cores import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

#: The variables that a launcher sets for each process.
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
#: How long a process waits for the others, which may score longer clips.
PATIENCE = timedelta(hours=2)
#: Most processes that `train.workers = "auto"` loads audio with.
MOST_WORKERS = 8


_GROUPS = count()
#: The group of this process for values in host memory; empty without one.
_HOSTS: list[Any] = []


class ReportedElsewhereError(SystemExit):
    """Ends a process silently: another process reports the error."""


def rank() -> int:
    """Return the rank of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """Return the number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Return whether this is rank 0, which writes files and messages."""
    return rank() == 0


@contextmanager
def process_group(device: str, *, even_alone: bool = False) -> Iterator[None]:
    """Join the process group of a launched run inside the block.

    :param device: `cpu`, `cuda` or `auto`, where training happens.
    :param even_alone: form a group without a launcher too: DeepSpeed needs one, even of a single process.
    :raises SetupError: the launcher left a variable unset, or there are fewer GPUs than processes.
    """
    if world() == 1 and not even_alone:
        yield
        return
    added = {} if "RANK" in os.environ else _lone_variables()
    os.environ.update(added)
    try:
        _join(_backend(device))
        yield
    finally:
        _leave()
        for name in added:
            del os.environ[name]


def loading_processes(workers: int | Literal["auto"], device: torch.device) -> int:
    """Return the number of processes that load audio for this one; see `train.workers`."""
    if workers != "auto":
        return workers
    if device.type == "cpu":
        return 0
    here = max(min(world(), torch.cuda.device_count()), 1)  # processes of this machine
    return min(max(cores() // here - 1, 0), MOST_WORKERS)


def barrier() -> None:
    """Wait for every process: a collective."""
    if distributed.is_initialized():
        distributed.barrier()


def total(value: int) -> int:
    """Return the sum of every process's value: a collective, for which no GPU has to wait."""
    if world() == 1:
        return value
    summed = torch.tensor(value)
    distributed.all_reduce(summed, group=_HOSTS[-1])
    return int(summed)


def gathered(value: T) -> list[T]:
    """Return every process's value in the order of ranks: a collective."""
    if world() == 1:
        return [value]
    values: list[Any] = [None] * world()
    distributed.all_gather_object(values, value)
    return values


def broadcast(tensors: Iterable[torch.Tensor]) -> None:
    """Copy rank 0's values of some tensors to every process: a collective."""
    if world() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor.data, 0)


def sharing() -> dict[str, Any]:
    """Return an `Evaluator`'s arguments to score this process's share of a split and gather the others."""
    return {"rank": rank(), "ranks": world(), "gathered": gathered}


def on_rank0(function: Callable[[], T]) -> T:
    """Call a function on rank 0 and return its result on every rank: a collective.

    :raises ReportedElsewhereError: on the other ranks, if the function failed.
    """
    if world() == 1:
        return function()
    message: list[Any] = [None, None]
    failure: Exception | None = None
    if first():
        try:
            message[0] = function()
        except Exception as error:  # noqa: BLE001 - raised below, after the broadcast
            failure = error
            message[1] = int(error.exit_code) if isinstance(error, SteermoeError) else 1
    distributed.broadcast_object_list(message)
    if failure is not None:
        raise failure
    if message[1] is not None:
        raise ReportedElsewhereError(message[1])
    result: T = message[0]
    return result


def _join(backend: str) -> None:
    """Form the group; groups that follow one another meet in one store, each under a name of its own."""
    store = _store(os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"])
    own = PrefixStore(f"group {next(_GROUPS)}", store)
    distributed.init_process_group(backend, store=own, rank=rank(), world_size=world(), timeout=PATIENCE)
    _HOSTS.append(distributed.new_group(backend="gloo", timeout=PATIENCE))


@lru_cache(maxsize=1)
def _store(address: str, port: str) -> Store:  # noqa: ARG001 - the key of the cache; torch reads the environment
    """Return the store in which processes meet; it outlives a group, as another process may still use it."""
    store: Store = next(rendezvous("env://", timeout=PATIENCE))[0]
    return store


def _leave() -> None:
    """End the group, in DeepSpeed too, so that this process can form another."""
    _HOSTS.clear()
    if not distributed.is_initialized():
        return
    deepspeed: Any = sys.modules.get("deepspeed.comm.comm")
    if deepspeed is None or deepspeed.cdb is None:
        distributed.destroy_process_group()
    else:
        deepspeed.destroy_process_group()  # with the groups that DeepSpeed keeps in its modules
        deepspeed.cdb = None


def _lone_variables() -> dict[str, str]:
    """Return the variables that a launcher would set for a single process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return dict(zip(NAMES, ("0", "1", "0", "127.0.0.1", str(port)), strict=True))


def _backend(device: str) -> str:
    """Return the backend for a device, and select this process's GPU.

    :raises SetupError: there is no GPU for it, or the launcher left a variable unset.
    """
    if missing := [name for name in NAMES if name not in os.environ]:
        msg = (
            f"RANK or WORLD_SIZE is set, but {missing[0]} is not: start several processes with "
            "`steermoe launch` or `torchrun`, or unset them to run one"
        )
        raise SetupError(msg)
    if device == "cpu" or not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # or DeepSpeed would take an available GPU
        return "gloo"
    index, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if index >= gpus:
        msg = f"process {rank()} has no GPU: this machine has {gpus}; start {gpus} processes on it"
        raise SetupError(msg)
    torch.cuda.set_device(index)
    return "nccl"
