"""Whether everything trained learns: the first gradient of every trained tensor, looked at in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.train.callbacks import Callback
from steermoe_core.train.first_gradients import FirstGradients

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn
    from transformers import TrainerControl, TrainerState


class GradientWatch(Callback):
    """Records the norm of every trained tensor's gradient in the first step, and what comes later than that.

    What changes gradients stands before it in the list of callbacks. Once every tensor has had a gradient it
    does nothing.

    :param record: of the run before it was interrupted; None at a start.
    :param keep: called with the record whenever it changes.
    """

    def __init__(
        self, record: FirstGradients | None, keep: Callable[[FirstGradients], None] = lambda _: None
    ) -> None:
        self.record = record
        self.keep = keep

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if not state.global_step:
            self.record = None  # an earlier start recorded steps that are trained again

    def on_pre_optimizer_step(
        self, args: Any, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        step, trained = state.global_step + 1, dict(self._trained())
        if step == 1:
            self.record = FirstGradients(
                norms={name: _norm(parameter) for name, parameter in trained.items()},
                zeros=[name for name, parameter in trained.items() if not parameter.any()],
            )
            self.keep(self.record)
        elif self.record and (
            came := [name for name in self.record.missing if name in trained and _norm(trained[name])]
        ):
            later = {**self.record.later, **dict.fromkeys(came, step)}
            self.record = attrs.evolve(self.record, later=later)
            self.keep(self.record)

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.joined.named_parameters() if p.requires_grad]


def _norm(parameter: nn.Parameter) -> float | None:
    """Return the norm of a tensor's gradient; None where it has none, or one that is not finite."""
    if parameter.grad is None:
        return None
    norm = parameter.grad.float().norm().item()
    return norm if math.isfinite(norm) else None
