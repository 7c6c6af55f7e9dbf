"""Frozen linear maps whose weights are stored in 8 or 4 bits; they are dequantised wherever they are used.

    int8    one scale a row of the weight: W ≈ scale · code, code from -127 to 127
    nf4     16 levels of a normal distribution, one scale for 64 values (arXiv 2305.14314); by bitsandbytes

Activations and gradients are not quantised: a map computes with its dequantised weight, forward and backward.
"""

from __future__ import annotations

from abc import abstractmethod
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.errors import SetupError

#: Values of a weight that share a scale in nf4.
BLOCK = 64


class QuantisedLinear(nn.Module):
    """A frozen linear map with a weight in few bits.

    :ivar codes: the weight, in whole numbers.
    :ivar scales: fp32.
    """

    codes: nn.Parameter
    scales: nn.Parameter

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.shape = linear.weight.shape  # (out,in)
        codes, scales = self.quantised(linear.weight.detach())
        self.codes = nn.Parameter(codes, requires_grad=False)
        self.scales = nn.Parameter(scales, requires_grad=False)
        self.bias = linear.bias

    @abstractmethod
    def quantised(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes and scales of a weight (out,in), on the meta device too."""

    @abstractmethod
    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the dequantised weight (out,in)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (…,in) to (…,out)."""
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        mapped: torch.Tensor = _Map.apply(x.to(dtype), self)  # type: ignore[no-untyped-call] # torch's
        return mapped if self.bias is None else mapped + self.bias.to(dtype)


class Int8Linear(QuantisedLinear):
    """`int8`: codes (out,in), scales (out,1)."""

    def quantised(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scales = weight.float().abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
        return (weight.float() / scales).round().to(torch.int8), scales

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        return (self.codes * self.scales).to(dtype)


class Nf4Linear(QuantisedLinear):
    """`nf4`: codes (⌈out·in/2⌉,1), two in a byte, scales (⌈out·in/64⌉,)."""

    def quantised(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if weight.is_meta:
            codes = weight.new_empty(-(-weight.numel() // 2), 1, dtype=torch.uint8)
            return codes, weight.new_empty(-(-weight.numel() // BLOCK), dtype=torch.float32)
        from bitsandbytes.functional import quantize_4bit

        codes, state = quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4")
        return codes, state.absmax.float()

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        from bitsandbytes.functional import QuantState, dequantize_4bit

        state = QuantState(  # type: ignore[no-untyped-call] # bitsandbytes'
            absmax=self.scales.float(), shape=self.shape, blocksize=BLOCK, quant_type="nf4", dtype=dtype
        )
        found: torch.Tensor = dequantize_4bit(self.codes, state)
        return found


class _Map(torch.autograd.Function):
    """Keeps no dequantised weight for the backward pass: it is dequantised again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, linear: QuantisedLinear) -> torch.Tensor:
        ctx.linear = linear
        return F.linear(x, linear.weight(x.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = gradients
        return gradient @ ctx.linear.weight(gradient.dtype), None


KINDS: dict[str, type[QuantisedLinear]] = {"int8": Int8Linear, "nf4": Nf4Linear}


def quantise(body: nn.Module, kind: str) -> None:
    """Replace every linear map inside a module by a quantised one, one after the other.

    :param kind: of `KINDS`.
    :raises SetupError: there are none, or a package is missing.
    """
    if kind == "nf4" and find_spec("bitsandbytes") is None:
        msg = 'decoder.quantise = "nf4" needs bitsandbytes; `pip install steermoe[nf4]` brings it'
        raise SetupError(msg)
    places = [(parent, name) for parent in body.modules() for name, child in parent.named_children()
              if type(child) is nn.Linear]  # fmt: skip
    if not places:
        msg = f'{type(body).__name__} has no linear maps to quantise; leave decoder.quantise at "none"'
        raise SetupError(msg)
    for parent, name in places:
        setattr(parent, name, KINDS[kind](getattr(parent, name)))


def number_of_weights(module: nn.Module) -> int:
    """Return the number of parameters of a module, each weight of a quantised map counted as one."""
    maps = [one for one in module.modules() if isinstance(one, QuantisedLinear)]
    packed = sum(one.shape.numel() - one.codes.numel() - one.scales.numel() for one in maps)
    return sum(parameter.numel() for parameter in module.parameters()) + packed
