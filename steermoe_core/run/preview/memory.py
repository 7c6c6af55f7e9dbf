"""The memory of a training step, measured on the run's own modules without their weights."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

import attrs
import torch

from steermoe_core.run.cost.batch import clip_costs, keeps_frames, noise_batch, phases, settled
from steermoe_core.run.cost.trace import trace
from steermoe_core.train.epochs import budget_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.model.joined import Joined
    from steermoe_core.model.projectors import Projector
    from steermoe_core.run.preview.shapes import Shapes

#: Bytes of a trained parameter: value, gradient and AdamW's two moments, all fp32.
TRAINED_BYTES = 16


@attrs.frozen(kw_only=True)
class Memory:
    """Memory of a training step, in bytes.

    :param weights: frozen parameters.
    :param trained: trained parameters with their gradients and optimizer state.
    :param activations: tensors that the forward pass keeps for the backward pass; None where unknown.
    :param backward: what the backward pass adds at its peak; None where unknown.
    :param total: of all; None where unknown.
    :param unknown: why the step cannot be measured; empty where it can.
    """

    weights: int
    trained: int
    activations: int | None
    backward: int | None
    total: int | None
    unknown: str = ""


def memory(model: Joined, train: TrainConfig, clip: Shapes, token: int = 0) -> Memory:
    """Measure a training step on a batch of equal clips; of one clip where the run finds its budget.

    :param model: `prepared`.
    :param token: id of which the answers consist; one that the projector's vocabulary has.
    """
    train, text = settled(train), (clip.before or 0, clip.after or 0)
    (cost,) = clip_costs(model, train, text, [clip.seconds]) or [1.0]
    seconds = [clip.seconds] * max(int(budget_of(train) // cost), 1)
    weights, trained = held(model)
    try:
        batch = noise_batch(model, seconds, text, token, kept=keeps_frames(model, train))
        language_model = True in phases(model, train)
        step = trace(model, train, batch, language_model=language_model, optimizer=False)
    except RuntimeError as error:  # torch's, where a part reads values: fake tensors have none
        unknown = reason(error)
        return Memory(
            weights=weights, trained=trained, activations=None, backward=None, total=None, unknown=unknown
        )
    return Memory(
        weights=weights,
        trained=trained,
        activations=step.kept,
        backward=step.peak - step.kept,
        total=weights + trained + step.peak,
    )


def reason(error: RuntimeError) -> str:
    """Return the first line of why a step cannot be traced."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def held(model: Joined) -> tuple[int, int]:
    """Return the bytes of frozen parameters, and of trained ones with gradients and optimizer state."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
    return weights, sum(p.numel() for p in model.parameters() if p.requires_grad) * TRAINED_BYTES


def prepare(projector: Projector, answers: Iterable[list[int]]) -> int:
    """Call `begin` of a projector that needs no frames; its masks become real.

    :param answers: token ids of the training answers, by which it may choose its vocabulary; read as needed.
    :returns: a token of the answers; 0 where there is none.
    """
    for module in projector.modules():
        for name, own in module.named_buffers(recurse=False):
            if not own.is_floating_point():
                module.register_buffer(name, torch.ones(own.shape, dtype=own.dtype))
    rest = filter(None, answers)
    first = next(rest, None)
    if first is None:
        return 0
    if not projector.begin_batches:
        with suppress(RuntimeError):  # torch's, where it reads values
            projector.begin(chain([first], rest), iter(()))
    return first[0]
