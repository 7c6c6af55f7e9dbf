"""The budget that `auto` is: the largest whose batches fit into the memory of every process.

Forward and backward passes run on real clips, in batches of growing cost, until memory is full. Each batch is
one of the two worst: of the longest clips, and of the shortest, which are the most. All processes run the
same ones, and the fullest decides. Nothing of it is left: neither gradients, nor buffers, nor random numbers.
"""

from __future__ import annotations

import math
import os
import sys
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from steermoe_core.data.examples import Examples
from steermoe_core.errors import SetupError
from steermoe_core.run.assembly.device import available
from steermoe_core.train import ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined

    Collate = Callable[[list[Example]], Batch]

#: Share of the free memory that a step may use. Allocators leave gaps; a CPU's memory is also for others.
GPU_SHARE, CPU_SHARE = 0.9, 0.5
#: Bytes of a trained parameter beyond those passes: AdamW's two moments, the exchange of gradients.
HIDDEN_BYTES = 12
#: Factors of the last budget that fitted: the next one is at most `GROWTH` times it, the last `CLOSE`.
CLOSE, GROWTH = 1.05, 2.0


def largest_budget(
    model: Joined,
    train: TrainConfig,
    collate: Collate,
    examples: Sequence[Example],
    costs: Sequence[float],
    answers: Iterable[list[int]],
    *,
    started: bool,
) -> float:
    """Return the largest budget whose batches fit, to two digits: a collective.

    :param model: on its device.
    :param collate: makes the batches of the training.
    :param costs: of each example.
    :param answers: token ids of every training answer, by which a projector may choose its vocabulary.
    :param started: the run starts from a trained adapter.
    :raises SetupError: not even the batch of one clip fits.
    """
    model.encoder.recompute = "encoder" in train.recompute
    model.decoder.recompute = "decoder" in train.recompute
    values = np.asarray(costs)
    order = np.lexsort((Examples.of(examples).seconds, values))
    room = min(ranks.gathered(_room(model)))

    def peak(budget: float) -> float:
        sizes = [_fitting(values[clips], budget) for clips in (order[::-1], order)]
        batches = zip((order[::-1], order), sizes, strict=True)
        used = [_peak(model, train, collate([examples[i] for i in clips[:size]])) for clips, size in batches]
        return max(ranks.gathered(max(used)))

    with _undone(model):
        _begin(model, answers, started=started)
        model.train()
        found = search(peak, values.max(), values.sum() / (train.accumulation * ranks.world()), room)
    return rounded(found)


def search(peak: Callable[[float], float], smallest: float, largest: float, room: float) -> float:
    """Return the largest budget that fits, nearly: at `CLOSE` times as much it would not, or hardly.

    The next budget is where a line through the last two that fitted reaches `room`, or half-way to one that
    did not fit.

    :param peak: returns the bytes that a budget takes, infinite where there are not as many.
    :param smallest: budget of one clip, which is tried first.
    :param largest: budget at which a batch holds all clips.
    :raises SetupError: the smallest does not fit.
    """
    fits, below, fails, budget = 0.0, 0.0, math.inf, smallest
    while budget >= fits * CLOSE:
        used = peak(budget)
        if used <= room:
            line = (budget - fits) / (used - below) if fits and used > below else math.inf
            fits, below = budget, used
            budget = min(fits * GROWTH, fits + line * (room - used), largest, (fits + fails) / 2)
        elif not fits:
            need = "more than there is" if used == math.inf else f"{used / 2**20:,.0f} MiB"
            msg = (
                f"a training step on the longest clip does not fit: it takes {need}, and "
                f"{room / 2**20:,.0f} MiB are free for it; set train.recompute or a smaller data.max_seconds"
            )
            raise SetupError(msg)
        else:
            fails, budget = budget, (fits + budget) / 2
    return fits


def rounded(budget: float) -> float:
    """Return the largest number of two digits that is not above a budget."""
    digits = 1 - math.floor(math.log10(budget))
    return round(math.floor(budget * 10.0**digits) / 10.0**digits, max(digits, 0))


def _fitting(costs: np.ndarray, budget: float) -> int:
    """Return how many of the first clips a batch of a budget holds, at least one."""
    padded = np.maximum.accumulate(costs) * np.arange(1, len(costs) + 1)
    return max(int(np.searchsorted(padded, budget, side="right")), 1)


def _begin(model: Joined, answers: Iterable[list[int]], *, started: bool) -> None:
    """Prepare the projector as training will, as far as that needs no frames."""
    if started:
        model.projector.extend(answers)
    elif not model.projector.begin_batches:
        model.projector.begin(answers, iter(()))


def _peak(model: Joined, train: TrainConfig, batch: Batch) -> float:
    """Return the bytes by which a forward and a backward pass raise memory; infinite where it ends."""
    device = _device(model)
    half = torch.float16 if train.precision == "fp16" else torch.bfloat16
    peak = math.inf
    with suppress(torch.OutOfMemoryError), _measured(device) as used:
        with torch.autocast(device.type, half, enabled=train.precision != "fp32"):
            loss = model(batch.to(device), int(batch.answer.lengths.sum()))
        loss.backward()
        peak = used()
    model.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return peak


@contextmanager
def _measured(device: torch.device) -> Iterator[Callable[[], float]]:
    """Give a function that returns the most bytes that the block has taken so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: torch.cuda.max_memory_allocated(device) - before
    else:
        with Tally() as tally:
            yield lambda: tally.peak


class Tally(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's
    """Counts the bytes of the tensors that operations create inside the block, as long as each exists.

    :ivar peak: the most at any time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self.peak = self._bytes = 0
        self._storages: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute, and count what is new."""
        for tensor in _tensors((args, kwargs)):
            self._watch(tensor, created=False)
        result = func(*args, **kwargs or {})
        for tensor in _tensors(result):
            self._watch(tensor, created=True)
        return result

    def _watch(self, tensor: torch.Tensor, *, created: bool) -> None:
        storage = tensor.untyped_storage()
        place = storage._cdata  # noqa: SLF001 - the identity of a storage
        if place not in self._storages:
            size = storage.nbytes() if created else 0
            self._storages[place] = weakref.ref(storage, lambda _: self._free(place, size))
            self._bytes += size
            self.peak = max(self.peak, self._bytes)

    def _free(self, place: int, size: int) -> None:
        del self._storages[place]
        self._bytes -= size


def _tensors(values: Any) -> list[torch.Tensor]:
    return [one for one in tree_leaves(values) if isinstance(one, torch.Tensor)]


def _device(model: Joined) -> torch.device:
    return model.decoder.embeddings.device


def _room(model: Joined) -> float:
    """Return the bytes that the passes of this process may take."""
    device = _device(model)
    hidden = HIDDEN_BYTES * sum(p.numel() for p in model.parameters() if p.requires_grad)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return GPU_SHARE * (free + unused) - hidden
    return CPU_SHARE * _free_memory() / ranks.world() - hidden


def _free_memory() -> int:
    """Return the bytes of memory that are free: what the system says, within the limit of a container."""
    free = available()
    if free == sys.maxsize:  # not Linux: all that the machine has
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no container, or one without a limit
        limit, used = (int((group / f"memory.{name}").read_text("ascii")) for name in ("max", "current"))
        free = min(free, limit - used)
    return free


@contextmanager
def _undone(model: Joined) -> Iterator[None]:
    """Put back what passes change: random numbers, and tensors of adapters and projector."""
    parts = [part for part in (model.adapter, model.decoder_adapter, model.projector) if part is not None]
    saved = [{name: one.clone() for name, one in part.state_dict().items()} for part in parts]
    with torch.random.fork_rng():
        try:
            yield
        finally:
            model.eval()
            for part, tensors in zip(parts, saved, strict=True):
                part.load_state_dict(tensors)
