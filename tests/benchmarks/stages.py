"""Where a training step's time goes."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.train.callbacks import GroupClip
from tests.benchmarks.figure import Figure
from tests.benchmarks.lab import Lab
from tests.benchmarks.training import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from steermoe_core.data.padded import Padded


class Stages:
    """CPU seconds by stage; the backward pass is cut where gradients reach audio tokens and frames."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = 0.0
        self._inside = False

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the work with a clock around it; within other timed work it counts there."""

        def measured(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return work(*args, **kwargs)
            self._inside, begun = True, time.process_time()
            result = work(*args, **kwargs)
            self.seconds[name] += time.process_time() - begun
            self._inside = False
            return result

        return measured

    def backward(self, loss: Tensor, **_: Any) -> None:
        """Run the backward pass; what is left when the last hook has fired belongs to the stage below it."""
        self._last, self._below = time.process_time(), "projector backward"
        loss.backward()
        self.lap(self._below)

    def lap(self, name: str) -> None:
        """Book the time since the last lap."""
        if name == "projector backward":
            self._below = "encoder backward"
        now = time.process_time()
        self.seconds[name] += now - self._last
        self._last = now

    def marked(self, name: str, values: Padded) -> Padded:
        """Book the backward pass up to these values under a name."""
        if values.values.requires_grad:
            values.values.register_hook(lambda _: self.lap(name))
        return values


def shares(*, quick: bool) -> Iterator[Figure]:
    """Yield each stage's share of the step, for each variant."""
    for name, overrides in list(VARIANTS.items())[: 1 if quick else None]:
        steps = 3 if quick else 8
        lab = Lab(f"train.steps={steps}", *overrides)
        lab.train()
        stages = Stages()
        with pytest.MonkeyPatch.context() as patch:
            watch(lab, stages, patch)
            total = sum(lab.train()[0])
        stages.seconds["rest (Trainer, callbacks, layout)"] = total - sum(stages.seconds.values())
        for stage, seconds in sorted(stages.seconds.items(), key=lambda one: -one[1]):
            detail = f"{1000 * seconds / steps:.1f} ms a step"
            yield Figure(name=f"{name}: {stage}", value=seconds / total, detail=detail)


def watch(lab: Lab, stages: Stages, patch: pytest.MonkeyPatch) -> None:
    """Put clocks around the stages of a lab's model."""
    model, decoder = lab.model, lab.model.decoder
    for part, name, stage in (
        (type(lab.collator), "collate", "loading (sound, features, ids)"),
        (model, "frames", "encoder forward"),
        (type(model.projector), "forward", "projector forward"),
        (type(model.projector), "loss", "projector forward"),
        (decoder, "hidden", "decoder forward"),
        (decoder, "logits", "head forward"),
        (torch.optim.AdamW, "step", "AdamW"),
        (GroupClip, "on_pre_optimizer_step", "clip"),
    ):
        patch.setattr(part, name, stages.timed(stage, getattr(part, name)))
    frames, inputs = model.frames, model.inputs

    def marked_inputs(batch: Any, audio: Padded, **options: Any) -> Any:
        return inputs(batch, stages.marked("decoder and head backward", audio), **options)

    patch.setattr(model, "frames", lambda features: stages.marked("projector backward", frames(features)))
    patch.setattr(model, "inputs", marked_inputs)
    patch.setattr("accelerate.Accelerator.backward", lambda _, loss, **__: stages.backward(loss))
