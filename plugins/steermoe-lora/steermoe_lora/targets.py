"""Which linear maps of an encoder get low-rank matrices, whatever their names are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from steermoe_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.model.encoder import Encoder

#: Layer number, name of the map inside that layer.
Place = tuple[int, str]


def chosen_maps(encoder: Encoder, layers: Sequence[int], targets: Sequence[str]) -> dict[Place, str]:
    """Return the maps to adapt: the name inside the encoder of each place.

    :param layers: numbers of the layers to look into.
    :param targets: names from the right; empty takes all.
    :raises UsageError: a target is not there, or there is no linear map at all.
    """
    there = {place: name for place, name in _maps(encoder) if place[0] in layers}
    names = sorted({name for _, name in there})
    for target in targets:
        if not any(_matches(name, target) for name in names):
            known = ", ".join(names) or "no linear map"
            msg = f"adapter.target_modules names {target!r}, but the encoder's layers have {known}"
            raise UsageError(msg)
    if not there:
        msg = "adapter lora finds no linear map in the encoder's layers; use another adapter"
        raise UsageError(msg)
    return {
        (layer, name): path
        for (layer, name), path in there.items()
        if not targets or any(_matches(name, target) for target in targets)
    }


def _maps(encoder: Encoder) -> Iterator[tuple[Place, str]]:
    """Yield every linear map inside the layers: its place and its name in the encoder.

    The layers are the members of the lists that are as long as the encoder has layers.
    """
    for path, stack in encoder.named_modules():
        if isinstance(stack, nn.ModuleList) and len(stack) == encoder.layers:
            for number, layer in enumerate(stack):
                for name, module in layer.named_modules():
                    if isinstance(module, nn.Linear):
                        yield (number, name), ".".join(filter(None, [path, str(number), name]))


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
