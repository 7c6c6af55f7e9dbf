"""The base class of callbacks, and those of every run: group clipping, journal, progress, signals."""

from __future__ import annotations

import math
import time
from functools import partial
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


class Finite:
    """Losses and norms since the last check, on the device: whether all are finite is found out at the next.

    A check waits for the device, and so comes only where training waits anyway: at a logged step and before
    a checkpoint. No checkpoint is written after a number that is not finite.
    """

    #: Numbers after which a check comes early, so that little is kept where steps are seldom logged.
    most = 10_000

    def __init__(self) -> None:
        self._numbers: list[torch.Tensor] = []
        self._messages: list[Callable[[float], str]] = []

    def add(self, number: torch.Tensor, message: Callable[[float], str]) -> None:
        """Record a number (scalar).

        :param message: of the error, given the number if it is not finite.
        """
        self._numbers.append(number)
        self._messages.append(message)
        if len(self._numbers) >= self.most:
            self.check()

    def check(self) -> None:
        """Check what was recorded and forget it: a collective.

        :raises DivergedError: a number of some process is not finite; the message is that of the first.
        """
        numbers = torch.stack(self._numbers).tolist() if self._numbers else []  # the one wait
        wrong = next((place for place, number in enumerate(numbers) if not math.isfinite(number)), None)
        found = None if wrong is None else (wrong, self._messages[wrong](numbers[wrong]))
        self._numbers, self._messages = [], []
        if first := min((one for one in ranks.gathered(found) if one is not None), default=None):
            raise DivergedError(first[1])


class GroupClip(Callback):
    """Clips the gradient of each parameter group before the step, and records whether it is finite.

    :param largest: returns the maximum norm of a group.
    :param finite: of the run.
    """

    def __init__(self, largest: Callable[[str], float], finite: Finite) -> None:
        self.largest = largest
        self.finite = finite
        self.rates: dict[str, float] = {}
        self._norms: dict[str, torch.Tensor] = {}
        self._groups: list[str] = []

    @property
    def norms(self) -> dict[str, float]:
        """The norm of each group in the last step, before clipping; reading it waits for the device."""
        norms = torch.stack(list(self._norms.values())).tolist() if self._norms else []
        return {**dict.fromkeys(self._groups, 0.0), **dict(zip(self._norms, norms, strict=True))}

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
        """
        self._norms = {
            name: self._clipped(group, self.largest(name)) for name, group in gradients.items() if group
        }
        self._groups = list(gradients)
        self.rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
        for name, norm in self._norms.items() if not may_overflow else ():
            self.finite.add(norm, partial(_diverged, name, step))

    def _clipped(self, gradients: list[torch.Tensor], largest: float) -> torch.Tensor:
        norm = torch.nn.utils.get_total_norm(gradients)  # (): before clipping
        factor = (largest / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
        return norm


def _diverged(group: str, step: int, norm: float) -> str:  # noqa: ARG001 - as `Finite.add` calls it
    return f"the gradient of group {group!r} is not a number at step {step}; lower its learning rate"


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
