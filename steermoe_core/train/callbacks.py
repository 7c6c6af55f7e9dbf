"""What every callback offers, and the ones that every run has: group clipping, journal, progress, signals."""

from __future__ import annotations

import math
import signal
import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from steermoe_core.errors import DivergedError

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress
    from torch.optim import Optimizer
    from transformers import TrainerControl, TrainerState
    from typing_extensions import Self

    from steermoe_core.model.joined import Joined
    from steermoe_core.train.journal import Journal


class Callback(TrainerCallback):
    """A watcher of training: a transformers callback that can write to metrics.jsonl.

    :ivar journal: set before training starts.
    :ivar joined: the model in training, set likewise.
    """

    journal: Journal
    joined: Joined


class GroupClip(Callback):
    """Clips each parameter group's gradient to one norm before the step, and refuses what is not finite."""

    def __init__(self, largest: float) -> None:
        self.largest = largest
        self.norms: dict[str, float] = {}
        self.rates: dict[str, float] = {}

    def on_pre_optimizer_step(
        self, args: Any, state: TrainerState, control: TrainerControl, optimizer: Any = None, **_: Any
    ) -> None:
        scaler = getattr(optimizer, "scaler", None)
        if scaler is not None:
            scaler.unscale_(optimizer.optimizer)
        groups = _by_name(optimizer)
        norms = [torch.nn.utils.clip_grad_norm_(parameters, self.largest) for parameters in groups.values()]
        self.norms = dict(zip(groups, torch.stack(norms).tolist(), strict=True))  # waits for the device once
        self.rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
        if scaler is None or scaler.get_scale() < 1.0:  # a scaler skips the step and halves its scale
            self._check(state.global_step + 1)

    def _check(self, step: int) -> None:
        for name, norm in self.norms.items():
            if not math.isfinite(norm):
                msg = (
                    f"the gradient of group {name!r} is not a number at step {step}; lower its learning rate"
                )
                raise DivergedError(msg)


class JournalWriter(Callback):
    """Writes one line to metrics.jsonl at every logged step."""

    def __init__(self, clip: GroupClip) -> None:
        self.clip = clip
        self.started = time.monotonic()
        self.step = 0

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started, self.step = time.monotonic(), state.global_step

    def on_log(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        now = time.monotonic()
        pace = (now - self.started) / max(state.global_step - self.step, 1)
        self.started, self.step = now, state.global_step
        self.journal.write(
            state.global_step,
            loss=logs["loss"],
            learning_rate=self.clip.rates,
            gradient_norm=self.clip.norms,
            seconds_per_step=pace,
        )


class LastStep(Callback):
    """Logs and saves the last step, wherever it falls between the others."""

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = control.should_save = True


class ProgressBar(Callback):
    """Shows loss, rate and time left while training goes on."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.loss = "–"

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.task = self.progress.add_task(
            "training", total=state.max_steps, completed=state.global_step, note=""
        )

    def on_log(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs and "loss" in logs:
            self.loss = f"{logs['loss']:.3f}"
            self.progress.update(self.task, note=f"loss {self.loss}")

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.progress.update(self.task, completed=state.global_step, note=f"loss {self.loss}")


class StopOnSignal(Callback):
    """Turns the first Ctrl-C or SIGTERM into a checkpoint at the step's end; the second one acts at once."""

    def __init__(self) -> None:
        self.stopped = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.stopped and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True


def _by_name(optimizer: Optimizer) -> dict[str, list[torch.nn.Parameter]]:
    groups: dict[str, list[torch.nn.Parameter]] = {}
    for group in optimizer.param_groups:
        groups.setdefault(group["name"], []).extend(group["params"])
    return groups
