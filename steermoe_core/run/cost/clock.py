"""Takes the time of training steps, and of a model's parts in them, while the trainer takes the steps."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch

from steermoe_core.data.padded import Padded
from steermoe_core.train.callbacks import Callback, GroupClip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined

#: Steps before the counted ones.
WARM_UP = 2
#: The towers, and their methods that are given the rows which they compute.
_TOWERS, _GIVEN = ("encoder", "decoder"), ("forward", "from_layer", "hidden")


class Clock(Callback):
    """Takes the time of training steps and of the parts in them.

    :param steps: number of counted steps.
    :ivar last: the step after which all is measured.
    """

    def __init__(self, device: str, steps: int) -> None:
        self.device = device
        self.steps = steps
        self.last = WARM_UP + steps * (2 if device == "cuda" else 1)
        self.seconds: list[float] = []
        self.batches: list[list[Batch]] = []
        self.positions: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.parts: dict[str, float] = defaultdict(float)
        self.peak = 0
        self.language_model = True
        self._step = 0
        self._part, self._since, self._ended = "data", 0.0, 0.0

    @property
    def _counts(self) -> bool:
        return WARM_UP < self._step <= WARM_UP + self.steps

    @property
    def _parted(self) -> bool:
        """Whether the parts' time is taken; on a GPU that is not in the counted steps."""
        return self._step > self.last - self.steps

    @contextmanager
    def watching(self, model: Joined) -> Iterator[None]:
        """Take the time of a model's parts; the backward pass is cut where gradients arrive."""
        calls: list[tuple[nn.Module, str, str]] = [(model.encoder, "forward", "encoder")]
        calls += [(model.encoder, "from_layer", "encoder"), (model.adapter, "after", "encoder")]
        calls += [(model.projector, "forward", "projector"), (model.projector, "loss", "projector")]
        calls += [(model, "hidden", "decoder"), (model.decoder, "logits", "decoder")]
        frames, inputs, forward = model.frames, model.inputs, model.forward

        def taken(batch: Batch, *args: Any, **named: Any) -> torch.Tensor:
            if self._counts:
                self.batches[-1].append(batch)
            self.language_model = named.get("language_model", True)
            self.enter("other")
            loss: torch.Tensor = forward(batch, *args, **named)
            self.enter("decoder" if self.language_model else "projector")  # where the backward pass begins
            return loss

        def cut(batch: Batch, audio: Padded, **named: Any) -> Any:
            return inputs(batch, self._below(audio, "projector"), **named)

        with ExitStack() as stack:
            for part, name, stage in calls:
                stack.enter_context(patch.object(part, name, self._timed(getattr(part, name), name, stage)))
            stack.enter_context(patch.object(model, "forward", taken))
            stack.enter_context(patch.object(model, "inputs", cut))
            stack.enter_context(
                patch.object(model, "frames", lambda given: self._below(frames(given), "encoder"))
            )
            clip = GroupClip.clip
            stack.enter_context(patch.object(GroupClip, "clip", _entering(self, clip)))
            yield

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._step = state.global_step + 1
        self.enter("other")
        if self._step == WARM_UP + 1:
            finish(self.device)
            _reset_peak(self.device)
        if self._counts:
            self.batches.append([])

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.enter("data")
        if self._step in (WARM_UP, WARM_UP + self.steps):
            finish(self.device)
        now = time.perf_counter()
        if self._counts:
            self.seconds.append(now - self._ended)
            self.peak = _peak(self.device)
        self._ended = now

    def enter(self, part: str) -> str:
        """Book the time since the last call to the part before, and return that part."""
        if self._parted:
            finish(self.device)
        now, before = time.perf_counter(), self._part
        if self._parted:
            self.parts[before] += now - self._since
        self._part, self._since = part, now
        return before

    def _timed(self, function: Callable[..., Any], name: str, part: str) -> Callable[..., Any]:
        counted = part in _TOWERS and name in _GIVEN

        def timed(*args: Any, **named: Any) -> Any:
            given = next((one for one in args if isinstance(one, Padded)), None)
            if counted and self._counts and given is not None and part != self._part:
                rows, longest = given.values.shape[:2]
                self.positions[part].append((int(given.host_lengths.sum()), rows * longest))
            before = self.enter(part)
            try:
                return function(*args, **named)
            finally:
                self.enter(before)

        return timed

    def _below(self, padded: Padded, part: str) -> Padded:
        """Return values at whose gradient the backward pass enters a part."""
        if padded.values.requires_grad:
            padded.values.register_hook(lambda _: self.enter(part) and None)  # type: ignore[no-untyped-call]
        return padded


def _entering(clock: Clock, clip: Callable[..., Any]) -> Callable[..., Any]:
    def clipped(*args: Any, **named: Any) -> Any:
        clock.enter("optimizer")
        return clip(*args, **named)

    return clipped


def finish(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def _reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:  # the mark becomes what is resident
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
