"""What compiled layers compute: torch's compiler fuses their operations, and its own count of bytes is taken.

Inductor lowers the forward and the backward graph of a layer and decides which operations share a kernel, on
shapes alone. It is stopped there, before it generates code. The layer itself is then computed as it is, not
recorded, for its shapes and its memory.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import attrs
import torch
from functorch.compile import make_boxed_func  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch._functorch.aot_autograd import aot_function
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils.stateless import _reparametrize_module
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten

from steermoe_core.model.recompute import again
from steermoe_core.run.cost.parts import UNCOUNTED
from steermoe_core.run.cost.recording import Operation, Shapes, flops_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CellType

    from steermoe_core.model.encoder import Layer

#: The operations of layers that were counted, by everything that their kernels depend on.
_COUNTED: dict[tuple[Any, ...], list[Operation]] = {}


def counted(shapes: Shapes) -> Callable[[Layer], Layer]:
    """Return what turns a layer into one that is recorded as if it were compiled."""

    def fuse(layer: Layer) -> Layer:
        return partial(_recorded, shapes, layer)

    return fuse


def _recorded(shapes: Shapes, layer: Layer, *args: Any, **named: Any) -> Any:
    part, backward = shapes.parts.now
    operations = kernels(layer, *args, **named)
    with shapes.parts.within(UNCOUNTED):
        result = layer(*args, **named)
    shapes.operations += [
        attrs.evolve(one, part=part, backward=backward or one.backward)
        for one in operations
        if not (one.backward and again())
    ]
    return result


def kernels(layer: Layer, *args: Any, **named: Any) -> list[Operation]:
    """Return the kernels of a compiled layer's forward pass and, where a tensor needs it, backward pass."""
    modules = list(_modules(layer))
    own = [dict(module.named_parameters()) | dict(module.named_buffers()) for module in modules]
    while isinstance(layer, partial):
        args, named, layer = (*layer.args, *args), {**layer.keywords, **named}, layer.func
    cells = list(getattr(layer, "__closure__", None) or ())
    leaves, form = tree_flatten((own, [cell.cell_contents for cell in cells], args, named))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    tensors = [leaves[place] for place in places]

    def call(*values: Tensor) -> list[Tensor]:
        filled = list(leaves)
        for place, value in zip(places, values, strict=True):
            filled[place] = value
        numbers, contents, filled_args, filled_named = tree_unflatten(filled, form)
        with _enclosing(cells, contents):
            found = _with(modules, numbers, partial(layer, *filled_args, **filled_named))
        return [one for one in tree_leaves(found) if isinstance(one, Tensor)]

    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    others = tuple(repr(leaf) for leaf in leaves if isinstance(leaf, (bool, int, float, str)))
    key = (tuple(map(type, modules)), str(form), kind, others, *map(_facts, tensors))
    if key not in _COUNTED:
        with _disable_current_modes(), torch._C.DisableTorchFunction():  # noqa: SLF001 - not recorded
            _COUNTED[key] = _fused(call, tensors)
    return _COUNTED[key]


def _facts(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.requires_grad


def _modules(layer: Any) -> Iterator[nn.Module]:
    """Yield the modules whose tensors a layer reads."""
    if isinstance(layer, nn.Module):
        yield layer
    elif isinstance(layer, partial):
        for one in (layer.func, *layer.args, *layer.keywords.values()):
            yield from _modules(one)
    elif isinstance(layer, MethodType):
        yield from _modules(layer.__self__)
    elif isinstance(layer, FunctionType):
        for cell in layer.__closure__ or ():
            yield from _modules(cell.cell_contents)


def _with(modules: list[nn.Module], numbers: list[dict[str, Tensor]], call: Callable[[], Any]) -> Any:
    """Return what a call gives with other tensors in the modules."""
    if not modules:
        return call()
    with _reparametrize_module(modules[0], numbers[0]):
        return _with(modules[1:], numbers[1:], call)


@contextmanager
def _enclosing(cells: list[CellType], contents: list[Any]) -> Iterator[None]:
    """Let a closure see other values inside the block."""
    before = [cell.cell_contents for cell in cells]
    for cell, content in zip(cells, contents, strict=True):
        cell.cell_contents = content
    try:
        yield
    finally:
        for cell, content in zip(cells, before, strict=True):
            cell.cell_contents = content


def _fused(call: Callable[..., list[Tensor]], tensors: list[Tensor]) -> list[Operation]:
    """Return what Inductor makes of a function of tensors, and of its gradient."""
    from torch._inductor.decomposition import select_decomp_table

    found: list[Operation] = []
    with FakeTensorMode() as mode:
        fakes = [_fake(mode, one) for one in tensors]
        compiled = aot_function(
            call,
            fw_compiler=partial(_scheduled, found, False),
            bw_compiler=partial(_scheduled, found, True),
            partition_fn=min_cut_rematerialization_partition,
            decompositions=select_decomp_table(),
        )
        trained = [one for one in compiled(*fakes) if one.requires_grad]
        if trained:
            torch.autograd.backward(trained, [torch.empty_like(one) for one in trained])
    return found


def _fake(mode: FakeTensorMode, tensor: Tensor) -> Tensor:
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    found = mode.fake_tensor_converter.from_meta_and_device(mode, empty, torch.device("cpu"))
    return found.requires_grad_(tensor.requires_grad)


class _ScheduledError(Exception):
    """Ends a compilation whose kernels are known."""


def _scheduled(found: list[Operation], backward: bool, graph: Any, inputs: Any) -> Any:  # noqa: FBT001
    """Add the kernels of a graph, which Inductor calls a compiler for; return the graph as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what torch itself imports
        from torch._inductor import compile_fx, config

    def stop(nodes: list[Any]) -> list[Any]:
        found.extend(one for node in nodes for one in _operations(node, backward=backward))
        raise _ScheduledError

    with config.patch(_post_fusion_custom_pass=stop, fx_graph_cache=False):
        try:
            compile_fx.compile_fx_inner(graph, inputs)
        except Exception as error:
            if not _ended(error):
                raise
    return make_boxed_func(graph.forward)


def _ended(error: BaseException | None) -> bool:
    """Return whether an error is, or comes from, the end of a compilation whose kernels are known."""
    while error is not None and not isinstance(error, _ScheduledError):
        error = getattr(error, "inner_exception", None) or error.__cause__ or error.__context__
    return error is not None


def _operations(node: Any, *, backward: bool) -> Iterator[Operation]:
    """Yield the operation of a node of Inductor's schedule, if it is a kernel."""
    size = node.get_read_write_buffers_sizes()
    if not size:
        return
    for origin in node.node.get_origins() if node.is_extern() else ():
        args, named = tree_map_only(torch.fx.Node, lambda one: one.meta["val"], (origin.args, origin.kwargs))
        inputs = [one for one in tree_leaves((args, named)) if isinstance(one, Tensor)]
        outputs = [one for one in tree_leaves(origin.meta["val"]) if isinstance(one, Tensor)]
        flops = flops_of(origin.target, args, named, inputs, outputs)
        if flops:
            name = origin.target.overloadpacket.__name__
            yield Operation(name, "", backward, inputs[0].dtype, flops, size)
            return
    dtype = next((one.node.get_dtype() for one in node.get_nodes() if one.node is not None), torch.float32)
    yield Operation("fused", "", backward, dtype, 0, size)
