"""The `lora-analysis` callback: how far the low-rank matrices have moved, by layer and map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.errors import UsageError
from steermoe_core.train.callbacks import Callback
from steermoe_lora.adapter import Lora

if TYPE_CHECKING:
    from transformers import TrainerState

    from steermoe_lora.config import LoraAnalysisConfig


class LoraAnalysis(Callback):
    """Writes the norms of every k-th step.

    :raises UsageError: the adapter is not `lora`.
    """

    def __init__(self, config: LoraAnalysisConfig) -> None:
        self.every = config.every

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        if not self._adapters():
            msg = "callback lora-analysis watches adapter lora, and there is none; leave the callback out"
            raise UsageError(msg)

    def on_step_end(self, args: Any, state: TrainerState, *_: Any, **__: Any) -> None:  # noqa: ARG002 - transformers'
        if state.global_step % self.every == 0:
            norms = [{**norm, "on": one.on} for one in self._adapters() for norm in one.norms()]
            self.journal.write(state.global_step, lora=norms)

    def _adapters(self) -> list[Lora]:
        return [module for module in self.joined.modules() if isinstance(module, Lora)]
