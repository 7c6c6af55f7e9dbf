"""Scores while training goes on: which step was best, when to stop, and no trace of it in what is trained.

The best step and its score are kept in transformers' `TrainerState`, so that each checkpoint has them.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from transformers import TrainerControl, TrainerState

    from steermoe_core.config.experiment import ValidateConfig
    from steermoe_core.model.joined import Joined

    #: The value of each metric; None where there was nothing to measure.
    Values = Mapping[str, float | None]


class Validation(Callback):
    """Scores the model every few steps and after the last, marks the best step and may stop training.

    :param metric: name of the value that is compared.
    :param higher: whether a higher value is better.
    :param measure: returns the values of the model as it is at a step.
    :param tell: told the step, its values, and whether it is the best so far.
    """

    def __init__(
        self,
        config: ValidateConfig,
        *,
        metric: str,
        higher: bool,
        measure: Callable[[int], Values],
        tell: Callable[[int, Values, bool], None],
    ) -> None:
        self.config = config
        self.metric = metric
        self.higher = higher
        self.measure = measure
        self.tell = tell

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
            own = dict(self.measure(step))
        values = ranks.decided(lambda: own)  # every process scores, so that none waits in vain; one counts
        value = values[self.metric]
        best = value is not None and math.isfinite(value) and self._better(value, state.best_metric)
        if best:
            state.best_metric, state.best_global_step = value, step
        self.journal.write(step, validation=values)
        self.tell(step, values, best)
        self.journal.aside += time.monotonic() - began
        return best

    def _better(self, value: float, best: float | None) -> bool:
        if best is None:
            return True
        return value > best if self.higher else value < best


def exhausted(config: ValidateConfig, step: int, best: int | None) -> bool:
    """Tell whether so many validations in a row, up to a step, brought no better score that training stops.

    :param best: the step of the best score; None if there was none yet.
    """
    return bool(config.patience) and (step - (best or 0)) // config.every >= config.patience


@contextmanager
def undisturbed(model: Joined) -> Iterator[None]:
    """Put random numbers, and what each module remembers, back to what they were before the block.

    Inside it the model is in eval mode.
    """
    device = next(model.parameters()).device
    memory = [(vars(module), vars(module).copy()) for module in model.modules()]
    numbers, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state that others use
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            model.eval()
            yield
        finally:
            random.setstate(numbers)
            np.random.set_state(arrays)  # noqa: NPY002 - likewise
            for now, before in memory:
                now.update(before)
