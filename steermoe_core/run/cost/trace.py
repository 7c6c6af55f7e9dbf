"""What a training step does, operation by operation, traced on the run's own modules without their weights.

The step is computed, forward, backward and optimizer, on tensors that have shapes and no values (torch's fake
tensors); only lengths, masks and token ids, which determine shapes, are real. Every tensor of the step is
counted for as long as it exists: attention scores where no fused kernel avoids them, frames that an encoder
computes beyond the end of a clip, layers that are recomputed. So is every operation, with the part of the
model that it belongs to, in the backward pass too, and every wait of the host for the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch
from torch import nn
from torch.func import functional_call

from steermoe_core.run.cost.fused import counted
from steermoe_core.run.cost.recording import Host, Operation, Shapes, Wait
from steermoe_core.train.callbacks import Finite, GroupClip
from steermoe_core.train.groups import optimizer_groups

if TYPE_CHECKING:
    from torch import Tensor

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined


@attrs.frozen(kw_only=True)
class Trace:
    """A training step on one batch.

    :param operations: of forward and backward pass; `optimizer`: of clipping and the optimizer's step.
    :param syncs: how often the host waits for the device.
    :param kept: bytes that the forward pass keeps for the backward pass.
    :param peak: largest number of bytes in use, weights and optimizer aside.
    :param positions: for encoder and decoder, the positions that are real and all that are computed.
    """

    operations: list[Operation]
    optimizer: list[Operation]
    syncs: dict[Wait, int]
    kept: int
    peak: int
    positions: dict[str, tuple[int, int]]


def trace(
    model: Joined,
    train: TrainConfig,
    batch: Batch,
    *,
    language_model: bool = True,
    optimizer: bool = True,
) -> Trace:
    """Trace a training step.

    :param model: with or without weights; its values stay.
    :param batch: of one forward pass, on the CPU.
    :param language_model: as in `Joined.forward`.
    :param optimizer: whether clipping and the optimizer's step are traced, too.
    :raises RuntimeError: a part asks for values; fake tensors have none.
    """
    model.encoder.recompute, model.decoder.recompute = (
        part in train.recompute for part in ("encoder", "decoder")
    )
    model.encoder.packing, model.decoder.packing = (part in train.packing for part in ("encoder", "decoder"))
    before = model.encoder.fuse, model.decoder.fuse
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(train.precision, torch.bfloat16)
    shapes = Shapes()
    step = _Step(model, train, shapes, language_model=language_model, optimizer=optimizer)
    numbers, placed = shapes.numbers(step), shapes.placed(batch)
    autocast = torch.autocast("cpu", half, enabled=train.precision != "fp32")
    model.encoder.fuse = model.decoder.fuse = counted(shapes) if train.compile else None
    try:
        with shapes.parts.marked(model), shapes, Host(shapes), autocast:
            found: Trace = functional_call(step, numbers, (placed,))
    finally:
        model.encoder.fuse, model.decoder.fuse = before
    return found


class _Step(nn.Module):
    """A training step as a module, so that recomputed layers see the replaced parameters as well."""

    def __init__(
        self, model: Joined, train: TrainConfig, shapes: Shapes, *, language_model: bool, optimizer: bool
    ) -> None:
        super().__init__()
        self.model = model
        self._train, self._shapes = train, shapes
        self._language_model, self._optimizer = language_model, optimizer

    def forward(self, batch: Batch) -> Trace:
        shapes = self._shapes
        loss = self.model(batch, batch.answer.values.numel(), language_model=self._language_model)
        kept = shapes.bytes
        torch.autograd.backward(loss)
        peak, operations, shapes.operations = shapes.peak, shapes.operations, []
        if self._optimizer:
            with shapes.parts.within("optimizer"):
                self._optimize()
        return Trace(
            operations=operations,
            optimizer=shapes.operations,
            syncs=dict(shapes.syncs),
            kept=kept,
            peak=peak,
            positions=shapes.parts.positions,
        )

    def _optimize(self) -> None:
        """Clip and step as in training; torch's choice on a GPU is the optimizer of many tensors at once."""
        adamw = torch.optim.AdamW(optimizer_groups(self.model, self._train), foreach=True)
        with self._shapes.unrecorded():
            adamw.step()  # makes its state
        gradients: dict[str, list[Tensor]] = {}
        for group in adamw.param_groups:
            gradients.setdefault(group["name"], []).extend(
                one.grad for one in group["params"] if one.grad is not None
            )
        GroupClip(self._train.clip_of, Finite()).clip(gradients, adamw, 1)
        adamw.step()
