"""The `steering-analysis` callback: load, entropy, dead experts, scale and size of the shift, by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.train.callbacks import Callback

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState

    from steermoe_core.train.config import SteeringAnalysisConfig


class SteeringAnalysis(Callback):
    """Records the gates of every k-th step and writes their statistics over valid frames."""

    def __init__(self, config: SteeringAnalysisConfig) -> None:
        self.every = config.every

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if (state.global_step + 1) % self.every == 0:
            self.joined.adapters.watch()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step % self.every == 0 and (records := self.joined.adapters.statistics()):
            self.journal.write(state.global_step, steering=records)
