"""Whether everything trained learns: the first gradient of every trained tensor, looked at in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from steermoe_core.train.callbacks import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn
    from transformers import TrainerControl, TrainerState


class GradientWatch(Callback):
    """Notes the norm of every trained tensor's gradient in the first step, and what comes later than that.

    What changes gradients stands before it in the list of callbacks. Once every tensor has had a gradient it
    looks at nothing any more.

    :param record: what it noted before the run was interrupted; empty at a start.
    :param keep: told the record whenever it changes.
    :ivar record: ``norms`` of the first step by tensor (null: none, or not finite), ``later`` the step at
        which a tensor without one had its first, and ``zeros``, the tensors that were all zero until then:
        what they are multiplied with has no gradient yet.
    """

    def __init__(self, record: dict[str, Any], keep: Callable[[dict[str, Any]], None]) -> None:
        self.record = record
        self.keep = keep

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if not state.global_step:
            self.record = {}  # what an earlier start noted is trained again

    def on_pre_optimizer_step(
        self, args: Any, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        step, trained = state.global_step + 1, dict(self._trained())
        if step == 1:
            norms = {name: _norm(parameter) for name, parameter in trained.items()}
            zeros = [name for name, parameter in trained.items() if not parameter.any()]
            self.record = {"norms": norms, "later": {}, "zeros": zeros}
            self.keep(self.record)
        elif came := [name for name in missing(self.record) if name in trained and _norm(trained[name])]:
            self.record["later"].update(dict.fromkeys(came, step))
            self.keep(self.record)

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.joined.named_parameters() if p.requires_grad]


def missing(record: dict[str, Any]) -> list[str]:
    """Return the tensors of a record that have had no gradient yet: finite, and not zero."""
    later = record.get("later", {})
    return [name for name, norm in record.get("norms", {}).items() if not norm and name not in later]


def _norm(parameter: nn.Parameter) -> float | None:
    """Return the norm of a tensor's gradient; None where it has none, or one that is not finite."""
    if parameter.grad is None:
        return None
    norm = parameter.grad.float().norm().item()
    return norm if math.isfinite(norm) else None
