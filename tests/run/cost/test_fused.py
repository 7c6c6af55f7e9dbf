"""Compiled layers are counted as torch's compiler fuses them: every kernel with what it reads and writes."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch._inductor import config

from steermoe_core.errors import SetupError
from steermoe_core.model.compiled import check_compiler
from steermoe_core.run.cost.fused import kernels
from tests.run.cost.test_trace import flops, traced

if TYPE_CHECKING:
    from steermoe_core.run.cost.trace import Trace
    from tests.rig import Rig

#: torch's compiler looks at gradients of any tensor, and hides the warning in a way that pytest does not see.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
]
FLOAT = 4


class Block(nn.Module):
    """A frozen layer: norm, matrix product, GELU, matrix product, residual."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 64), nn.Linear(64, 16)
        self.requires_grad_(requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


def test_a_chain_is_one_kernel() -> None:
    """It reads its input and writes its output; backward, it reads two tensors and writes a gradient."""
    x = torch.randn(64, 32, requires_grad=True)
    found = kernels(lambda x: torch.tanh(x * 2 + 1) * 0.5, x)

    forward, backward = ([one.bytes for one in found if one.backward is which] for which in (False, True))
    assert forward == [2 * FLOAT * x.numel()]  # the backward pass computes the tangent again
    assert backward == [3 * FLOAT * x.numel()]
    assert not any(one.flops for one in found)


def test_without_gradients_there_is_no_backward_pass() -> None:
    """Nothing is kept, so that the chain writes its output alone."""
    x = torch.randn(64, 32)
    (only,) = kernels(lambda x: torch.tanh(x * 2 + 1) * 0.5, x)
    assert (only.backward, only.bytes) == (False, 2 * FLOAT * x.numel())


def test_matrix_products_end_a_chain() -> None:
    """Norm, GELU and residual are a kernel each, between products whose FLOPs are counted."""
    block, x = Block(), torch.randn(2, 8, 16, requires_grad=True)
    found = [one for one in kernels(block, x) if not one.backward]

    assert [one.name for one in found] == ["fused", "addmm", "fused", "addmm", "fused"]
    assert [one.flops for one in found if one.flops] == [2 * 16 * 16 * 64] * 2
    assert found[2].bytes == 2 * FLOAT * 16 * 64  # GELU is computed again in the backward pass


def test_a_step_has_the_same_products_in_fewer_kernels(rig: Rig) -> None:
    """FLOPs and parts are those of the step that is not compiled; layers read and write less."""
    plain, fused = traced(rig), traced(rig, "train.compile=true")

    for part in ("encoder", "decoder"):
        assert flops(fused, part=part) == flops(plain, part=part)
    assert memory(fused, "decoder") < 0.7 * memory(plain, "decoder")
    for part in ("adapter", "projector", "loss"):
        assert memory(fused, part) == memory(plain, part)
    assert len(fused.operations) < len(plain.operations)


def memory(trace: Trace, part: str) -> int:
    """Return the bytes of all but matrix products."""
    return sum(one.bytes for one in trace.operations if one.part == part and not one.flops)


@pytest.mark.slow
def test_the_compiler_makes_the_same_kernels() -> None:
    """A real compilation, of real numbers on a CPU, schedules the kernels that were counted."""
    try:
        check_compiler(torch.device("cpu"))
    except SetupError as error:
        pytest.skip(str(error))
    block, x = Block(), torch.randn(2, 8, 16, requires_grad=True)
    scheduled: list[int] = []

    def note(nodes: list[Any]) -> list[Any]:
        scheduled.extend(filter(None, (node.get_read_write_buffers_sizes() for node in nodes)))
        return nodes

    torch._dynamo.reset()
    with config.patch(_post_fusion_custom_pass=note, fx_graph_cache=False):
        torch.compile(block)(x).sum().backward()
    counted = [one.bytes for one in kernels(partial(block), x)]
    gradient = Counter(scheduled) - Counter(counted)  # of the sum, which belongs to the test
    assert not Counter(counted) - Counter(scheduled)
    assert len(list(gradient.elements())) <= 1
