"""What suites of torch modules share: chance that is put back, comparisons, clips, and a plan's shapes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import numpy as np
import torch
from torch import nn

from steermoe_core.config.groups import declared
from steermoe_core.config.naming import some
from steermoe_core.model.weights import shapes_only
from steermoe_core.plugins.quarantine import described
from steermoe_core.testing.suite import Suite, needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from steermoe_core.data.padded import Padded

_LOSS_NAME = re.compile(r"[a-z][a-z0-9-]*")
#: Largest difference of two computations of the same thing, beside the largest number in them.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


class ModuleSuite(Suite):
    """Checks of a part that computes with torch."""

    def setup_method(self) -> None:
        """Remember the state of chance."""
        self._chance = torch.get_rng_state()

    def teardown_method(self) -> None:
        """Leave chance as it was before the check."""
        torch.set_rng_state(self._chance)

    def seeded(self, seed: int = 0) -> Any:
        """Return a newly built part whose weights depend on the seed."""
        torch.manual_seed(seed)
        part = self.build()
        torch.manual_seed(seed + 100)
        return part.eval()

    @needs("builds")
    def test_plan(self) -> None:
        """`steermoe plan` can build it without weights: on the meta device, with the same shapes."""
        real = _shapes(self.seeded())
        try:
            with shapes_only():
                planned = _shapes(self.build())
        except (RuntimeError, NotImplementedError) as error:
            msg = (
                f"built without weights it raised {described(error)}: in a plan tensors are on the meta "
                "device and have no values; read none in __init__, and load weights with "
                "steermoe_core.model.weights.pretrained"
            )
            raise self.wrong(msg) from error
        names = sorted(real.keys() | planned.keys())
        different = [name for name in names if real.get(name) != planned.get(name)]
        self.expect(
            not different,
            f"built without weights (steermoe_core.model.weights.shapes_only), {some(different, most=3)} has "
            "another shape or type than with them, or is missing",
        )

    def require(self, capability: str) -> None:
        """Leave a check out where the component does not say that it has the capability."""
        given = self.record.gives
        if capability not in (("layer-taps",) if given is None else given):
            msg = f"the component does not say that it gives {capability}"
            raise SkipTest(msg)

    def expect_declared(self, groups: Mapping[str, Sequence[nn.Parameter]]) -> None:
        """Refuse a parameter group that the component's record does not declare."""
        names = [name for name, parameters in groups.items() if parameters]
        known = declared(self.kind, self.record)
        if known is None:
            rates = ", ".join(f'"{name}": 1e-3' for name in names)
            self.expect(not names, f"its record declares no parameter groups: add groups={{{rates}}}")
        unknown = [name for name in names if name not in (known or names)]
        self.expect(
            not unknown,
            f"groups() has {unknown[:1]}, which the record does not declare: add it to the record's groups",
        )

    def expect_losses(self, part: Any) -> None:
        """Refuse losses by name that cannot be added to the loss, or that are returned twice."""
        for name, loss in part.losses().items():
            self.expect(
                _LOSS_NAME.fullmatch(name),
                f"losses() has the name {name!r}: use lower-case letters, digits and dashes",
            )
            scalar = isinstance(loss, torch.Tensor) and loss.ndim == 0
            self.expect(scalar, f"the loss {name!r} is {loss}, expected a tensor without dimensions")
            self.expect(loss.isfinite(), f"the loss {name!r} is not finite")
            self.expect(loss.requires_grad, f"the loss {name!r} has no gradient, so it trains nothing")
        self.expect(
            not part.losses(),
            "losses() returned the losses of one forward pass twice: forget them once they are returned",
        )

    def expect_close(self: Suite, one: torch.Tensor, other: torch.Tensor, sentence: str) -> None:
        """Refuse two tensors that are not equal but for rounding; `{}` in the sentence is by how much."""
        if one.shape != other.shape:
            self.expect(False, sentence.format(f"shapes {tuple(one.shape)} and {tuple(other.shape)}"))
        tolerance = max(TOLERANCE.get(tensor.dtype, 1e-4) for tensor in (one, other))
        difference = apart(one, other)
        self.expect(difference <= tolerance, sentence.format(f"{difference:.2g} of the largest number"))


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference of two tensors beside their largest number; inf if not finite."""
    one, other = one.detach().double().cpu(), other.detach().double().cpu()
    if not one.numel():
        return 0.0
    if not (one.isfinite().all() and other.isfinite().all()):
        return float("inf")
    scale = max(one.abs().max().item(), other.abs().max().item(), 1e-9)
    return (one - other).abs().max().item() / scale


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Return a clip of white noise at a tenth of full scale: float32, mono."""
    return (0.1 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return normal numbers that depend on nothing but the seed."""
    return torch.randn(*shape, generator=torch.Generator("cpu").manual_seed(seed))


def weighed(frames: Padded, seed: int = 5) -> torch.Tensor:
    """Return a sum of real frames (B,T,D) with fixed random weights: no gradient of it is trivial."""
    rows = [row.float() for row in frames.rows()]
    return torch.stack([(row * numbers(*row.shape, seed=seed).to(row.device)).sum() for row in rows]).sum()


def backward(total: torch.Tensor) -> None:
    """Compute gradients."""
    total.backward()  # type: ignore[no-untyped-call]


def same_tensors(one: nn.Module, other: nn.Module) -> list[str]:
    """Return the names of the tensors in which two modules differ."""
    mine, its = one.state_dict(), other.state_dict()
    return [
        n
        for n in mine.keys() | its.keys()
        if n not in mine or n not in its or not torch.equal(mine[n], its[n])
    ]


def without_gradient(named: Iterable[tuple[str, nn.Parameter]]) -> list[str]:
    """Return the names of the parameters whose gradient is missing, zero everywhere or not finite."""
    return [name for name, p in named if p.grad is None or not p.grad.any() or not p.grad.isfinite().all()]


def _shapes(module: nn.Module) -> dict[str, tuple[Any, ...]]:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors}
