"""What the routers do over real clips: figures by layer and label, and what a label tells of the experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch

from steermoe_core.data.batches import length_sorted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.labels import Groups
    from steermoe_core.model.joined import Joined

    Numbers = NDArray[np.float64]

#: How often clips are dealt out anew to see what chance alone would tell.
_SHUFFLES = 200


@attrs.frozen(eq=False)
class Observation:
    """What an adapter's gates did over some clips.

    :param layers: a record a steered layer.
    :param by: the same for the clips of each value of each label.
    :param information: of each label, by layer: how much it tells of the expert (``nats``), and what chance
        would tell with 95 % (``chance``).
    :param means: mean gates (L,E).
    """

    layers: list[dict[str, Any]]
    by: dict[str, dict[str, dict[str, Any]]]
    information: dict[str, list[dict[str, Any]]]
    means: torch.Tensor


@torch.no_grad()
def observe(
    model: Joined,
    collator: Collator,
    examples: Sequence[Example],
    groups: Groups,
    *,
    batch_size: int,
    seed: int = 0,
    progressed: Callable[[int], None] = lambda _: None,
) -> Observation:
    """Send clips through encoder and adapter, and return what the gates did.

    :param progressed: told the number of clips done after each batch.
    """
    device = next(model.parameters()).device
    batches, places = length_sorted([example.seconds for example in examples], batch_size)
    model.eval()
    model.adapter.watch()
    for numbers in batches:
        batch = collator.collate([examples[number] for number in numbers], answered=False)
        model.frames(batch.features.to(device))
        progressed(len(numbers))
    chosen = {
        (label, value): [places[number] for number in numbers]
        for label, values in groups.items()
        for value, numbers in values.items()
    }
    found = model.adapter.grouped_statistics(chosen)
    clips = model.adapter.grouped_statistics({number: [places[number]] for number in range(len(examples))})
    means = model.adapter.mean_gates()
    layers = model.adapter.statistics()
    weights = np.array([example.seconds for example in examples])
    loads = np.array([[record["load"] for record in clips[number]] for number in range(len(examples))])
    return Observation(
        layers=layers,
        by={
            label: {v: {"clips": len(n), "layers": found[label, v]} for v, n in values.items()}
            for label, values in groups.items()
        },
        information={
            label: [{"layer": record["layer"], **told} for record, told in zip(layers, figures, strict=True)]
            for label, values in groups.items()
            for figures in [information(loads, weights, values, seed=seed)]
        },
        means=means,
    )


def information(
    loads: Numbers, weights: Numbers, values: Mapping[str, Sequence[int]], *, seed: int
) -> list[dict[str, float]]:
    """Return for each layer the mutual information, in nats, of a frame's expert and its clip's label.

    An expert is drawn by the gates. Beside it stands what 95 % of shuffled labels stay below: clips differ
    among themselves, so that any label seems to tell something.

    :param loads: mean gates (n,L,E) of each clip.
    :param weights: durations (n,) of the clips.
    :param values: numbers of the clips of each value.
    """
    numbers = [number for clips in values.values() for number in clips]
    owners = np.repeat(np.arange(len(values)), [len(clips) for clips in values.values()])
    table, shares = loads[numbers], weights[numbers] / weights[numbers].sum()
    random = np.random.default_rng(seed)
    told = _told(table, shares, owners, len(values))
    chance = [_told(table, shares, random.permutation(owners), len(values)) for _ in range(_SHUFFLES)]
    limits = np.percentile(chance, 95, axis=0)
    return [{"nats": float(a), "chance": float(b)} for a, b in zip(told, limits, strict=True)]


def _told(loads: Numbers, shares: Numbers, owners: NDArray[np.int64], values: int) -> Numbers:
    """Return H(expert) - H(expert | value) of each layer (L,)."""
    member = (owners == np.arange(values)[:, None]) * shares  # (V,n)
    sizes = member.sum(1)  # (V,)
    within = np.einsum("vn,nle->vle", member, loads) / np.maximum(sizes, 1e-12)[:, None, None]
    whole = np.einsum("v,vle->le", sizes, within)
    left: Numbers = _entropy(whole) - np.einsum("v,vl->l", sizes, _entropy(within))
    return np.maximum(left, 0.0)


def _entropy(shares: Numbers) -> Numbers:
    """Return the entropy in nats over the last axis."""
    summed: Numbers = -(shares * np.log(np.maximum(shares, 1e-12))).sum(-1)
    return summed
