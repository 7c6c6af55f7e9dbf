"""The base class of callbacks, and those of every run: group clipping, journal, progress, signals."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from steermoe_core.errors import DivergedError
from steermoe_core.system.signals import handled
from steermoe_core.train import ranks
from steermoe_core.train.journal import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from rich.progress import Progress
    from torch.optim import Optimizer
    from transformers import TrainerControl, TrainerState
    from typing_extensions import Self

    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.scores import Scores
    from steermoe_core.model.joined import Joined
    from steermoe_core.train.journal import Journal


class Callback(TrainerCallback):
    """A transformers callback with access to the model, to metrics.jsonl and to the run folder.

    :ivar journal: set before training starts and before `on_scores`: `journal.write(step, key=value)` adds a
        line to metrics.jsonl, `journal.folder` is the run folder.
    :ivar joined: the model, set at the same times.
    :ivar examples: the clips of the split, set before `on_scores`.
    :cvar changes_training: whether the callback changes the trained numbers; if not, the conformance kit
        checks that it does not.
    """

    journal: Journal
    joined: Joined
    examples: Sequence[Example]
    changes_training: bool = False

    def on_record(self, record: Step) -> None:
        """Act on a line that the engine writes to metrics.jsonl: a logged step, or a validation.

        It is called in the first process of a run only.
        """

    def on_scores(self, split: str, scores: Scores) -> None:
        """Act on the scores of a split, after training.

        It is called in the first process of a run only, and once for each split, also where an interrupted
        run resumes after its training.
        """

    def on_run_end(self, error: BaseException | None) -> None:
        """Act on the end of a run: all its files are written, or an error stopped it.

        It is called in the first process of a run only. The model is released: `joined` and `examples` are no
        longer set.

        :param error: None if the run finished, `KeyboardInterrupt` if it was interrupted.
        """


class GroupClip(Callback):
    """Clips the gradient of each parameter group before the step, and refuses one that is not finite.

    :param largest: returns the maximum norm of a group.
    """

    def __init__(self, largest: Callable[[str], float]) -> None:
        self.largest = largest
        self.norms: dict[str, float] = {}
        self.rates: dict[str, float] = {}

    def on_pre_optimizer_step(
        self, args: Any, state: TrainerState, control: TrainerControl, optimizer: Any = None, **_: Any
    ) -> None:
        scaler = getattr(optimizer, "scaler", None)
        if scaler is not None:
            scaler.unscale_(optimizer.optimizer)
        may_overflow = (
            scaler is not None and scaler.get_scale() >= 1.0
        )  # the scaler skips the step and halves its scale
        self.clip(_gradients(optimizer), optimizer, state.global_step + 1, may_overflow=may_overflow)

    def clip(
        self,
        gradients: dict[str, list[torch.Tensor]],
        optimizer: Any,
        step: int,
        *,
        may_overflow: bool = False,
    ) -> None:
        """Clip the gradients of each group in place, and keep norms and rates for the journal.

        :param gradients: the tensors of each group.
        :param may_overflow: a norm that is not finite is the loss scaler's concern.
        :raises DivergedError: the norm of a group is not finite.
        """
        clipped = {
            name: self._clipped(group, self.largest(name)) for name, group in gradients.items() if group
        }
        norms = torch.stack(list(clipped.values())).tolist() if clipped else []  # one wait for the device
        self.norms = {**dict.fromkeys(gradients, 0.0), **dict(zip(clipped, norms, strict=True))}
        self.rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
        if not may_overflow:
            self._check(step)

    def _clipped(self, gradients: list[torch.Tensor], largest: float) -> torch.Tensor:
        norm = torch.nn.utils.get_total_norm(gradients)  # (): before clipping
        factor = (largest / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
        return norm

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
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        now = time.monotonic()
        pace = (now - self.started - self.journal.aside) / max(state.global_step - self.step, 1)
        self.started, self.step, self.journal.aside = now, state.global_step, 0.0
        record = Step(
            step=state.global_step,
            loss=logs["loss"],
            losses=logs.get("losses") or None,
            learning_rate=dict(self.clip.rates),
            gradient_norm=dict(self.clip.norms),
            seconds_per_step=pace,
        )
        self.journal.report(record)


class LastStep(Callback):
    """Logs and saves the last step, whatever `log_every` and `save_every` are."""

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = control.should_save = True


class ProgressBar(Callback):
    """Shows loss, rate and remaining time."""

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
    """Turns the first signal to stop into a checkpoint at the step's end; the second one acts at once."""

    def __init__(self) -> None:
        self.stopped = False
        self._handled = handled(self._stop)

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._handled.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        self._handled.__exit__(None, None, None)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.stopped = ranks.total(int(self.stopped)) > 0  # processes receive a signal at different steps
        if self.stopped and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True


def _gradients(optimizer: Optimizer) -> dict[str, list[torch.Tensor]]:
    groups: dict[str, list[torch.Tensor]] = {}
    for group in optimizer.param_groups:  # a name occurs twice: with decay and without
        gradients = (parameter.grad for parameter in group["params"])
        groups.setdefault(group["name"], []).extend(grad for grad in gradients if grad is not None)
    return groups
