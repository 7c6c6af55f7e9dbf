"""Validation during training: score, remember the best step, stop early; the trained numbers stay the same.

The best step and its score are in transformers' `TrainerState`, so that each checkpoint has them.
"""

from __future__ import annotations

import math
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from steermoe_core.train import ranks
from steermoe_core.train.callbacks import Callback
from steermoe_core.train.journal import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from transformers import TrainerControl, TrainerState

    from steermoe_core.config.experiment import ValidateConfig
    from steermoe_core.model.joined import Joined

    #: The value of each metric; None if it has none, such as for an empty reference.
    Values = Mapping[str, float | None]


class Validation(Callback):
    """Scores the model every `every` steps and after the last, marks the best step and may stop training.

    :param metric: name of the value that is compared.
    :param higher: whether a higher value is better.
    :param measure: returns the values of the model at a step.
    :param report: called with the step, its values, and whether it is the best so far.
    """

    def __init__(
        self,
        config: ValidateConfig,
        *,
        metric: str,
        higher: bool,
        measure: Callable[[int], Values],
        report: Callable[[int, Values, bool], None],
    ) -> None:
        self.config = config
        self.metric = metric
        self.higher = higher
        self.measure = measure
        self.report = report

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        last = state.global_step >= state.max_steps
        if state.global_step % self.config.every and not last:
            return
        best = self._validate(state)
        if best and self.config.keep_best:
            control.should_save = True
        if not last and exhausted(self.config, state.global_step, state.best_global_step):
            control.should_training_stop = control.should_save = control.should_log = True

    def _validate(self, state: TrainerState) -> bool:
        """Score the model and return whether it is the best so far."""
        began, step = time.monotonic(), state.global_step
        with undisturbed(self.joined):
            measured = dict(self.measure(step))  # each process scores its share and gathers the others'
        values = ranks.on_rank0(lambda: measured)
        value = values[self.metric]
        best = value is not None and math.isfinite(value) and self._better(value, state.best_metric)
        if best:
            state.best_metric, state.best_global_step = value, step
        self.journal.report(Step(step=step, validation=dict(values)))
        self.report(step, values, best)
        self.journal.aside += time.monotonic() - began
        return best

    def _better(self, value: float, best: float | None) -> bool:
        if best is None:
            return True
        return value > best if self.higher else value < best


def exhausted(config: ValidateConfig, step: int, best: int | None) -> bool:
    """Return whether `patience` validations in a row, up to a step, had no better score.

    :param best: the step of the best score; None if there is none yet.
    """
    return bool(config.patience) and (step - (best or 0)) // config.every >= config.patience


@contextmanager
def undisturbed(model: Joined) -> Iterator[None]:
    """Put the model in eval mode for the block, then restore random states and module attributes."""
    device = next(model.parameters()).device
    attributes = [(vars(module), vars(module).copy()) for module in model.modules()]
    numbers, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state that others use
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            model.eval()
            yield
        finally:
            random.setstate(numbers)
            np.random.set_state(arrays)  # noqa: NPY002 - likewise
            for now, before in attributes:
                now.update(before)
