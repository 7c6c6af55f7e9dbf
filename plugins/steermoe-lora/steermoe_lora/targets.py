"""Which linear maps of a tower get low-rank matrices, whatever their names are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from steermoe_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.model.encoder import Tower

#: Layer number, name of the map inside that layer.
Place = tuple[int, str]


def chosen_maps(tower: Tower, layers: Sequence[int], targets: Sequence[str], on: str) -> dict[Place, str]:
    """Return the maps to adapt: the name inside the tower of each place.

    :param layers: numbers of the layers to look into.
    :param targets: names from the right; empty takes all.
    :param on: the encoder or the decoder.
    :raises UsageError: a target is not there, or there is no linear map at all.
    """
    there = {place: name for place, name in _maps(tower) if place[0] in layers}
    names = sorted({name for _, name in there})
    none = "no linear map that is not quantised" if on == "decoder" else "no linear map"
    for target in targets:
        if not any(_matches(name, target) for name in names):
            known = ", ".join(names) or none
            msg = f"adapter.target_modules names {target!r}, but the {on}'s layers have {known}"
            raise UsageError(msg)
    if not there:
        msg = f"adapter lora finds {none} in the {on}'s layers; use another adapter"
        raise UsageError(msg)
    return {
        (layer, name): path
        for (layer, name), path in there.items()
        if not targets or any(_matches(name, target) for target in targets)
    }


def _maps(tower: Tower) -> Iterator[tuple[Place, str]]:
    """Yield every linear map inside the layers: its place and its name in the tower.

    The layers are the members of the lists that are as long as the tower has layers.
    """
    for path, stack in tower.named_modules():
        if isinstance(stack, nn.ModuleList) and len(stack) == tower.layers:
            for number, layer in enumerate(stack):
                for name, module in layer.named_modules():
                    if isinstance(module, nn.Linear):
                        yield (number, name), ".".join(filter(None, [path, str(number), name]))


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
