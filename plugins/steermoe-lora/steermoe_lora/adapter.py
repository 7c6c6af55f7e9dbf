"""LoRA (arXiv 2106.09685) inside the frozen encoder or decoder, by peft: y = W x + alpha / rank · B (A x).

A (r,in) starts as Kaiming-uniform noise and B (out,r) as zeros, so step 0 is the unchanged tower.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.errors import UsageError
from steermoe_core.model.adapter import Adapter
from steermoe_core.model.config import chosen_layers
from steermoe_lora.targets import Place, chosen_maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.data.padded import Padded
    from steermoe_core.model.encoder import Tower
    from steermoe_lora.config import LoraConfig

#: peft's name of an adapter that has no name of its own.
NAME = "default"
#: What peft puts between the name of a map and the names of its frozen tensors.
WRAPPER = ".base_layer."


class Lora(Adapter):
    """Puts low-rank matrices into a tower; these are all that is trained and saved.

    The matrices are modules of the tower. This adapter reaches them through `maps`, which is a plain dict, so
    that they belong to the tower alone.

    :ivar on: the encoder or the decoder.
    :ivar maps: peft's layer of each adapted map, by layer number and name inside that layer.
    :raises UsageError: a layer or a target is not there; or, in the first pass, the tower reads the weight
        of a map past its module, where nothing can be added to it.
    """

    def __init__(self, config: LoraConfig, tower: Tower, build: object = None) -> None:  # noqa: ARG002 - it has no parts
        super().__init__()
        import peft

        self.on = config.on
        layers = chosen_layers(config.layers, tower.layers, config.on)
        places = chosen_maps(tower, layers, config.target_modules, config.on)
        self.first_layer = min(layer for layer, _ in places)
        settings = peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,  # type: ignore[arg-type] # any number
            target_modules=list(places.values()),
        )
        peft.inject_adapter_in_model(settings, tower)
        tower.register_state_dict_post_hook(_own_names)  # type: ignore[no-untyped-call]
        self.maps: dict[Place, Any] = {place: tower.get_submodule(name) for place, name in places.items()}
        for each in self.maps.values():
            each.lora_dropout[NAME] = _Dropout(config.dropout, self)
        for parameter in self.groups()["lora"]:
            parameter.data = parameter.data.float()  # whatever the precision of the frozen weights
        self._kept: list[torch.Tensor] = []
        self._uncalled = {
            place: each.register_forward_hook(partial(self._called, place))
            for place, each in self.maps.items()
        }

    def groups(self) -> dict[str, list[nn.Parameter]]:
        pairs = ((each.lora_A[NAME].weight, each.lora_B[NAME].weight) for each in self.maps.values())
        return {"lora": [matrix for pair in pairs for matrix in pair]}

    def after(self, frames: Padded) -> Padded:
        if self._uncalled:
            names = ", ".join(sorted({name for _, name in self._uncalled}))
            msg = (
                f"adapter lora has no effect on {names}: the {self.on} reads these weights without calling "
                "the maps; name other maps in adapter.target_modules"
            )
            raise UsageError(msg)
        return frames

    @contextmanager
    def disabled(self) -> Iterator[None]:
        for each in self.maps.values():
            each.enable_adapters(False)
        try:
            yield
        finally:
            for each in self.maps.values():
                each.enable_adapters(True)

    def merge(self) -> None:
        """Add the products to the frozen weights: the same frames, as fast as without an adapter."""
        if not self._kept:
            self._kept = [each.get_base_layer().weight.detach().clone() for each in self.maps.values()]
            for each in self.maps.values():
                each.merge()

    def unmerge(self) -> None:
        """Take the products out again; the frozen weights are then those from before, bit by bit."""
        for each, weight in zip(self.maps.values(), self._kept, strict=False):
            each.unmerge()
            each.get_base_layer().weight.data.copy_(weight)
        self._kept = []

    def _called(self, place: Place, *_: Any) -> None:
        """Note that the tower calls a map, once."""
        self._uncalled.pop(place).remove()

    def norms(self) -> list[dict[str, Any]]:
        """Return Frobenius norms of each map: ``a``, ``b`` and, of alpha/rank · BA beside W, ``relative``."""
        return [{"layer": layer, "map": name, **_norms(each)} for (layer, name), each in self.maps.items()]


class _Dropout(nn.Module):
    """Dropout in the mode of the adapter: it is inside a tower, which is always in eval mode."""

    def __init__(self, share: float, adapter: Lora) -> None:
        super().__init__()
        self.share = share
        self._adapter = (adapter,)  # in a tuple, so that torch does not take it for a part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.share, self._adapter[0].training)


@torch.no_grad()
def _norms(adapted: Any) -> dict[str, float]:
    a, b = (matrix[NAME].weight.double() for matrix in (adapted.lora_A, adapted.lora_B))
    # ‖BA‖² = trace(BᵀB AAᵀ): two matrices (r,r) instead of one as large as W.
    product = ((b.T @ b) * (a @ a.T)).sum().clamp_min(0).sqrt() * adapted.scaling[NAME]
    frozen = adapted.get_base_layer().weight.double().norm().clamp_min(1e-12)
    return {"a": a.norm().item(), "b": b.norm().item(), "relative": (product / frozen).item()}


def _own_names(tower: nn.Module, state: dict[str, torch.Tensor], *_: Any) -> None:  # noqa: ARG001 - a hook
    """Give frozen tensors the names that they have without LoRA: their fingerprint is the identity."""
    for name in [name for name in state if WRAPPER in name]:
        state[name.replace(WRAPPER, ".")] = state.pop(name)
