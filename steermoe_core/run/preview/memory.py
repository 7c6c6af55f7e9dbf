"""The memory of a training step, measured on the run's own modules without their weights.

The step is computed, forward and backward, on tensors that have shapes and no values (torch's fake tensors);
only lengths, masks and token ids, which determine shapes, are real. Every tensor of the step is counted for
as long as it exists: attention scores where no fused kernel avoids them, frames that an encoder computes
beyond the end of a clip, layers that are recomputed.
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from steermoe_core.data.layout import Batch, ids
from steermoe_core.data.padded import Padded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.model.joined import Joined
    from steermoe_core.model.projectors import Projector
    from steermoe_core.run.preview.shapes import Shapes

_aten = torch.ops.aten
#: Bytes of a trained parameter: value, gradient and AdamW's two moments, all fp32.
TRAINED_BYTES = 16
#: Answer tokens a second of English speech.
_TOKENS = 4


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


def memory(model: Joined, train: TrainConfig, clip: Shapes, answers: Sequence[list[int]] = ()) -> Memory:
    """Measure a training step on a batch of equal clips.

    :param model: on the meta device; its projector is changed.
    :param answers: token ids of the training answers, by which a projector may choose its vocabulary.
    """
    weights = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad) * TRAINED_BYTES
    kept = backward = total = None
    reason = ""
    try:
        _prepare(model.projector, answers)
        kept, peak = _step(model, train, clip, next((ids[0] for ids in answers if ids), 0))
        backward, total = peak - kept, weights + trained + peak
    except RuntimeError as error:  # torch's, where a part reads values: fake tensors have none
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return Memory(
        weights=weights, trained=trained, activations=kept, backward=backward, total=total, unknown=reason
    )


def _prepare(projector: Projector, answers: Sequence[list[int]]) -> None:
    """Call `begin` of a projector that needs no frames; its masks become real."""
    for module in projector.modules():
        for name, own in module.named_buffers(recurse=False):
            if not own.is_floating_point():
                module.register_buffer(name, torch.ones(own.shape, dtype=own.dtype))
    if answers and not projector.begin_batches:
        projector.begin(answers, iter(()))


def _step(model: Joined, train: TrainConfig, clip: Shapes, token: int) -> tuple[int, int]:
    """Return the bytes of activations after the forward pass, and at their peak.

    :param token: id of which the answers consist; one that the projector's vocabulary has.
    """
    model.encoder.recompute, model.decoder.recompute = (
        part in train.recompute for part in ("encoder", "decoder")
    )
    model.encoder.packing, model.decoder.packing = (part in train.packing for part in ("encoder", "decoder"))
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(train.precision, torch.bfloat16)
    batch, shapes = _batch(model, train.batch_size, clip, token), _Shapes()
    batch = replace(batch, features=Padded(shapes.fake(batch.features.values), batch.features.lengths))
    step = _Step(model)
    numbers = shapes.numbers(step)
    with shapes, torch.autocast("cpu", half, enabled=train.precision != "fp32"):
        kept: int = functional_call(step, numbers, (batch, shapes))
    return kept, shapes.peak


class _Step(nn.Module):
    """A training step as a module, so that recomputed layers see the replaced parameters as well."""

    def __init__(self, model: Joined) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, shapes: _Shapes) -> int:
        """Return the bytes in use between the forward pass and the backward pass."""
        loss = self.model(batch, int(batch.answer.lengths.sum()))
        kept = shapes.bytes
        loss.backward()
        return kept


def _batch(model: Joined, size: int, clip: Shapes, token: int) -> Batch:
    """Return a batch of equally long clips of noise, with answers as long as speech of their length."""
    wave = np.random.default_rng(0).normal(0.0, 0.1, clip.samples).astype(np.float32)
    one = model.encoder.features([wave])
    before, after = clip.before or 0, clip.after or 0
    answer = max(round(_TOKENS * clip.seconds), 1)
    return Batch(
        ids=tuple(map(str, range(size))),
        features=Padded(one.values.expand(size, *one.values.shape[1:]), one.lengths.expand(size)),
        before=ids([[0] * before] * size),
        after=ids([[0] * after] * size),
        answer=ids([[token] * answer] * size),
        seconds=torch.full((size,), float(clip.seconds)),
        shared=before,
    )


class _Shapes(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's
    """Computes with shapes only, except for integers and masks that depend on no float.

    :ivar bytes: of all float tensors that were created inside the block and still exist.
    :ivar peak: largest value of `bytes`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self.bytes = self.peak = 0
        self._fakes = FakeTensorMode()
        self._storages: dict[int, weakref.ref[Any]] = {}

    def fake(self, tensor: Tensor) -> Tensor:
        """Return a tensor of the same shape on the CPU, without values."""
        if isinstance(tensor, FakeTensor):
            return tensor
        convert = self._fakes.fake_tensor_converter.from_meta_and_device
        fake = convert(self._fakes, tensor.to("meta"), torch.device("cpu"))
        self._watch(fake, 0)
        return fake

    def numbers(self, model: nn.Module) -> dict[str, Tensor]:
        """Return a fake of every parameter and buffer, the same one for shared tensors; masks stay real."""
        fakes: dict[int, Tensor] = {}
        named: dict[str, Tensor] = {}
        for name, own in (
            *model.named_parameters(remove_duplicate=False),
            *model.named_buffers(remove_duplicate=False),
        ):
            if id(own) not in fakes:
                if own.is_floating_point():
                    fakes[id(own)] = self.fake(own.detach()).requires_grad_(own.requires_grad)
                else:
                    fakes[id(own)] = torch.ones(own.shape, dtype=own.dtype) if own.is_meta else own
            named[name] = fakes[id(own)]
        return named

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if str(func) == "aten._fused_sdp_choice.default":
            return _kernel(*args, **kwargs)
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        if tensors and not any(isinstance(one, FakeTensor) or one.is_meta for one in tensors):
            return func(*args, **kwargs)
        if func is _aten.index.Tensor:
            args = (args[0], [place for one in args[1] for place in _places(one)])
        fakes, named = tree_map_only(torch.Tensor, self.fake, (args, kwargs))
        with self._fakes:
            result = _CTC[func](*fakes) if func in _CTC else func(*fakes, **named)
        if not tensors and not any(_is_float(one) for one in tree_leaves(result)):
            return func(*args, **kwargs)
        return tree_map_only(FakeTensor, self._counted, result)

    def _counted(self, tensor: Tensor) -> Tensor:
        """Count a tensor; integers that depend on floats, such as a best class, get alternating values."""
        if not tensor.is_floating_point() and tensor.dtype != torch.bool:
            return (1 + torch.arange(tensor.numel()) % 2).to(tensor.dtype).reshape(tensor.shape)
        self._watch(tensor, tensor.untyped_storage().nbytes())
        return tensor

    def _watch(self, tensor: Tensor, size: int) -> None:
        storage = tensor.untyped_storage()
        place = storage._cdata  # noqa: SLF001 - the identity of a storage; a fake one has no address
        if place not in self._storages:
            self._storages[place] = weakref.ref(storage, lambda _: self._free(place, size))
            self.bytes += size
            self.peak = max(self.peak, self.bytes)

    def _free(self, place: int, size: int) -> None:
        del self._storages[place]
        self.bytes -= size


def _is_float(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _kernel(_q: Tensor, _k: Tensor, _v: Tensor, mask: Tensor | None = None, *_: Any, **__: Any) -> int:
    """Return torch's number of the attention kernel: fused ones take no mask that requires a gradient."""
    return 0 if mask is not None and mask.requires_grad else 1


def _places(index: Tensor | None) -> list[Tensor | None]:
    """Return an index; a real mask becomes the indices of its true elements, one tensor a dimension."""
    masked = index is not None and index.dtype == torch.bool and not isinstance(index, FakeTensor)
    return list(index.nonzero(as_tuple=True)) if masked and index is not None else [index]


def _ctc(probabilities: Tensor, targets: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    """Return the shapes of a CTC loss (B,) and of its forward variables (B,T,2S+1)."""
    time, batch = probabilities.shape[:2]
    return probabilities.new_empty(batch), probabilities.new_empty(batch, time, 2 * targets.shape[-1] + 1)


def _ctc_backward(_gradient: Tensor, probabilities: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(probabilities)


#: Operators whose shapes torch does not infer.
_CTC: dict[Any, Callable[..., Any]] = {
    getattr(operator, kind): shapes
    for name, shapes in (("_ctc_loss", _ctc), ("_ctc_loss_backward", _ctc_backward))
    for operator in (getattr(_aten, name),)
    for kind in ("default", "Tensor")
}
