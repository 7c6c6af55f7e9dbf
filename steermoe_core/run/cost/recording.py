"""A computation on shapes, recorded: operations, memory, and waits of the host for the device.

Tensors have shapes and no values (torch's fake tensors), except for lengths, masks and token ids, which
determine shapes. `Shapes` sees every operator, and `Host` what passes between host and device without one.
"""

from __future__ import annotations

import weakref
from collections import Counter
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

from steermoe_core.data.padded import Padded
from steermoe_core.run.cost.parts import UNCOUNTED, Parts
from steermoe_core.run.cost.recurrent import STAND_INS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from steermoe_core.data.layout import Batch

_aten = torch.ops.aten
#: Where the fake tensors are. torch computes with it as with "cpu", and yet it is another device.
_DEVICE = torch.device("cpu", 0)


@attrs.frozen
class Operation:
    """One call of an operator on the device.

    :param part: one of `PARTS`.
    :param dtype: of its first input.
    :param flops: of a matrix product, convolution or attention; 0 for all others.
    :param bytes: read and written.
    """

    name: str
    part: str
    backward: bool
    dtype: torch.dtype
    flops: int
    bytes: int


@attrs.frozen
class Wait:
    """A wait of the host for the device: the operator or method that causes it, and where it is called."""

    name: str
    part: str
    backward: bool


class Shapes(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's
    """Computes with shapes only, except for integers and masks that depend on no float.

    What is on the device is every fake tensor, and every real one that is registered in `_storages`.

    :ivar bytes: of all tensors that were created on the device inside the block and still exist.
    :ivar peak: largest value of `bytes`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self.bytes = self.peak = 0
        self.operations: list[Operation] = []
        self.syncs: Counter[Wait] = Counter()
        self.parts = Parts()
        self._recording, self._read = True, ("", 0)
        self._fakes = _fakes()
        self._storages: dict[int, weakref.ref[Any]] = {}

    def fake(self, tensor: Tensor) -> Tensor:
        """Return a tensor of the same shape on the device, without values."""
        if isinstance(tensor, FakeTensor):
            self.watch(tensor, tensor.untyped_storage().nbytes())  # a prefix that another trace computed
            return tensor
        convert = self._fakes.fake_tensor_converter.from_meta_and_device
        fake = convert(self._fakes, tensor.to("meta"), _DEVICE)
        self.watch(fake, 0)
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
                fakes[id(own)] = self._number(own)
            named[name] = fakes[id(own)]
        return named

    def _number(self, own: Tensor) -> Tensor:
        if own.is_floating_point():
            fake = self.fake(own.detach())
            return nn.Parameter(fake, own.requires_grad) if isinstance(own, nn.Parameter) else fake
        real = torch.ones(own.shape, dtype=own.dtype) if own.is_meta else own.detach().clone()
        self.watch(real, 0)
        return real

    def placed(self, batch: Batch) -> Batch:
        """Return a batch with what training moves to the device there, and the rest on the host."""
        moved = batch.to("meta")
        parts = {one.name: (getattr(batch, one.name), getattr(moved, one.name)) for one in fields(batch)}
        there: dict[str, Any] = {
            name: type(own)(self.fake(own.values), own.host_lengths)
            for name, (own, other) in parts.items()
            if isinstance(own, Padded) and other.values.is_meta
        }
        return replace(batch, **there)

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Record no operation inside the block."""
        self._recording = False
        try:
            yield
        finally:
            self._recording = True

    def _records(self, part: str) -> bool:
        return self._recording and part != UNCOUNTED

    def has(self, tensor: Tensor) -> bool:
        """Return whether a tensor is on the device."""
        if isinstance(tensor, FakeTensor) or tensor.is_meta:
            return True
        return place_of(tensor) in self._storages

    def sync(self, name: str, tensor: Tensor) -> None:
        """Count a wait of the host for the device; reading a tensor element by element is one wait."""
        place, (part, backward) = place_of(tensor), self.parts.now
        if self._records(part) and self._read != (name, place):
            self.syncs[Wait(name, part, backward)] += 1
        self._read = name, place

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute the shapes of an operator, and record it."""
        kwargs = kwargs or {}
        if str(func) == "aten._fused_sdp_choice.default":
            return _kernel(*args, **kwargs)
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        if not any(map(self.has, tensors)) and kwargs.get("device") != _DEVICE:
            return func(*args, **kwargs)  # the host's own
        if self._waits(func, tensors, kwargs):
            self.sync(func.overloadpacket.__name__, tensors[0])
        if not any(isinstance(one, FakeTensor) or one.is_meta for one in tensors) and tensors:
            result = func(*args, **kwargs)
            inputs = tensors
        else:
            if func is _aten.index.Tensor:
                args = (args[0], [place for one in args[1] for place in _places(one)])
            fakes, named = tree_map_only(torch.Tensor, self.fake, (args, kwargs))
            with self._fakes:
                result = _CTC[func](*fakes) if func in _CTC else func(*fakes, **named)
            if not tensors and not any(_is_float(one) for one in tree_leaves(result)):
                result = func(*args, **kwargs)
            else:
                result = tree_map_only(FakeTensor, self._valued, result)
            inputs = [one for one in tree_leaves((fakes, named)) if isinstance(one, torch.Tensor)]
        outputs = [one for one in tree_leaves(result) if isinstance(one, torch.Tensor)]
        if self._records(self.parts.now[0]):
            self._record(func, args, kwargs, inputs, outputs)
        for one in outputs:
            self.watch(one, one.untyped_storage().nbytes())
        return result

    def _waits(self, func: Any, tensors: Sequence[Tensor], kwargs: Any) -> bool:
        """Return whether an operator makes the host wait for the device."""
        name = func.overloadpacket.__name__
        if name == "_to_copy" and not self.has(tensors[0]):  # from the host
            return not kwargs.get("non_blocking")
        masked = name.startswith("index") and any(one.dtype == torch.bool for one in tensors[1:])
        return masked or name in _SIZED

    def _record(
        self, func: Any, args: Any, kwargs: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> None:
        """Record an operation, unless it is a view or only reserves memory."""
        name, writes = func.overloadpacket.__name__, func._schema.is_mutable  # noqa: SLF001
        known = {place_of(one) for one in inputs}
        if not writes and all(place_of(one) in known for one in outputs):
            return
        if name.startswith(("empty", "new_empty", "_local_scalar")):
            return
        changed = [one for one in tree_leaves(args[:1]) if isinstance(one, torch.Tensor)]
        written = sum(map(_bytes, outputs or changed))
        if name in _GATHERS:  # reads as much as it writes, not the whole table
            read = written + sum(_bytes(one) for one in inputs[1:])
        else:
            read = sum(map(_bytes, inputs[1:] if name in _OVERWRITES else inputs))
        flops = flops_of(func, args, kwargs, inputs, outputs)
        dtype = inputs[0].dtype if inputs else outputs[0].dtype
        part, backward = self.parts.now
        self.operations.append(Operation(name, part, backward, dtype, flops, read + written))

    @staticmethod
    def _valued(tensor: Tensor) -> Tensor:
        """Return a tensor; integers that depend on floats, such as a best class, get alternating values."""
        if tensor.is_floating_point() or tensor.dtype == torch.bool:
            return tensor
        return (1 + torch.arange(tensor.numel()) % 2).to(tensor.dtype).reshape(tensor.shape)

    def watch(self, tensor: Tensor, size: int) -> None:
        """Note that a tensor is on the device, and its size for as long as it exists."""
        storage, place = tensor.untyped_storage(), place_of(tensor)
        if place not in self._storages:
            self._storages[place] = weakref.ref(storage, lambda _: self._free(place, size))
            self.bytes += size
            self.peak = max(self.peak, self.bytes)

    def _free(self, place: int, size: int) -> None:
        del self._storages[place]
        self.bytes -= size


class Host(TorchFunctionMode):
    """Sees what the host reads from the device, and sends to it, where no operator does."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self._shapes = shapes

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count a wait, or place a new tensor; all else is left as it is."""
        kwargs, shapes = kwargs or {}, self._shapes
        first: Any = args[0] if args else None
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == _DEVICE:
            result = func(*args, **{**kwargs, "device": "cpu"}).clone()
            if result.numel():  # without a number there is nothing to send
                shapes.sync("tensor", result)
            shapes.watch(result, 0)
            return result
        if not (func in _READS or func in STAND_INS or func == _device_of) or not self._there(first):
            return func(*args, **kwargs)
        if func in STAND_INS and isinstance(
            args[2], (list, tuple)
        ):  # a packed sequence has its lengths there
            return STAND_INS[func](*args, **kwargs)
        if func == _device_of:
            return _DEVICE
        if func is torch.Tensor.to and not any(_is_host(one) for one in (*args[1:], *kwargs.values())):
            return func(*args, **kwargs)
        shapes.sync(func.__name__, first)
        return first.clone() if func in (torch.Tensor.to, torch.Tensor.cpu) else func(*args, **kwargs)

    def _there(self, tensor: Any) -> bool:
        wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # noqa: SLF001 - those have no storage
        return isinstance(tensor, torch.Tensor) and not wrapped(tensor) and self._shapes.has(tensor)


_READS = {torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.cpu, torch.Tensor.to}
_device_of = torch.Tensor.device.__get__


def _is_host(value: Any) -> bool:
    return bool(value == "cpu" or value == torch.device("cpu"))


@cache
def _fakes() -> FakeTensorMode:
    """Return the one mode of all traces: a decoder keeps the prefix that the first one computed."""
    return FakeTensorMode()


#: Operators that copy places of a table.
_GATHERS = {"embedding", "index", "index_select", "gather", "slice", "nonzero", "masked_select"}
#: Operators that write their first argument without reading it.
_OVERWRITES = {"copy_", "fill_", "zero_", "normal_", "uniform_"}
#: Operators whose result has a size that the host must know.
_SIZED = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim"}


def place_of(tensor: Tensor) -> int:
    """Return the identity of a tensor's storage; a fake one has no address."""
    place: int = tensor.untyped_storage()._cdata  # noqa: SLF001
    return place


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements; an expanded one is in memory once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def flops_of(func: Any, args: Any, kwargs: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
    """Return the floating point operations of a matrix product, a convolution or attention."""
    packet = getattr(func, "overloadpacket", None)
    if packet is None:
        return 0
    if "scaled_dot_product" in packet.__name__:
        backward = "backward" in packet.__name__
        query, key = inputs[1:3] if backward else inputs[:2]
        product = 2 * query.numel() * key.shape[-2]
        return (5 if backward else 2) * product
    if packet not in flop_registry:
        return 0
    found: int = flop_registry[packet](*args, **kwargs, out_val=outputs[0] if len(outputs) == 1 else outputs)
    return found


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
