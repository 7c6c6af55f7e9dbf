"""Interventions on the gates, to measure routers: experts or layers are removed, or gates averaged.

expert       gate k of layer l is 0; the others are scaled so that Σ|g| stays the same
layer        every gate of layer l is 0: the layer's frames are not steered
all-layers   every gate is 0: the encoder without steering
mean-gates   every frame of a layer gets the layer's mean gates: no routing
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXPERT, LAYER, ALL_LAYERS, MEAN_GATES = "expert", "layer", "all-layers", "mean-gates"


@attrs.frozen(eq=False)
class Knockout:
    """One intervention on the gates, for `Adapter.rerouted`.

    :param what: `expert`, `layer`, `all-layers` or `mean-gates`.
    :param layer: of an expert or a layer, as the adapter's statistics name it.
    :param row: of that layer among the steered ones.
    :param expert: number of the expert.
    :param means: mean gates (L,E), for `mean-gates`.
    """

    what: str
    layer: Any = None
    row: int | None = None
    expert: int | None = None
    means: torch.Tensor | None = None

    def __call__(self, row: int, gates: torch.Tensor) -> torch.Tensor:
        """Return the gates (B,T,E) of a row under the intervention."""
        if self.means is not None:
            return self.means[row, : gates.shape[-1]].to(gates).expand_as(gates)
        if self.row not in (None, row):
            return gates
        return torch.zeros_like(gates) if self.expert is None else without(gates, self.expert)


def without(gates: torch.Tensor, expert: int) -> torch.Tensor:
    """Return gates (…,E) with one expert's at 0 and the same Σ|g|; all 0 where every other gate is 0."""
    rest = gates.clone()
    rest[..., expert] = 0.0
    size, left = (one.abs().sum(-1, keepdim=True) for one in (gates, rest))
    return rest * (size / left.clamp_min(1e-9))


def knockouts(layers: Sequence[dict[str, Any]], means: torch.Tensor) -> Iterator[Knockout]:
    """Yield every knockout of an adapter, the largest first.

    :param layers: its statistics, a record a layer.
    :param means: its mean gates (L,E).
    """
    yield Knockout(ALL_LAYERS)
    yield Knockout(MEAN_GATES, means=means)
    for row, record in enumerate(layers):
        yield Knockout(LAYER, record["layer"], row)
    for row, record in enumerate(layers):
        for expert in range(len(record["load"])):
            yield Knockout(EXPERT, record["layer"], row, expert)
