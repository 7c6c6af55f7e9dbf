"""The gates over real clips: figures by layer and label, and mutual information of labels and experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch

from steermoe_core.data.batches import length_sorted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.labels import Groups
    from steermoe_core.model.joined import Joined

    Numbers = NDArray[np.float64]

#: Shuffles of the labels that estimate the information by chance.
_SHUFFLES = 200


@attrs.frozen(eq=False)
class Observation:
    """An adapter's gates over some clips.

    :param layers: a record for each steered layer.
    :param by: the same for the clips of each value of each label.
    :param information: of each label, by layer: its mutual information with the expert (``nats``), and the
        95 % quantile by chance (``chance``).
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
    """Run the model over clips as far as its adapters reach, and return the figures of the gates.

    :param progressed: called with the number of clips after each batch.
    """
    device = next(model.parameters()).device
    batches, places = length_sorted([example.seconds for example in examples], batch_size)
    model.eval()
    model.adapters.watch()
    for numbers in batches:
        batch = collator.collate([examples[number] for number in numbers], answered=False)
        batch = batch.to(device)
        if model.decoder_adapter is None:
            model.frames(batch.features)
        else:
            model.read(batch, model.audio(batch.features))
        progressed(len(numbers))
    members = {
        (label, value): [places[number] for number in numbers]
        for label, values in groups.items()
        for value, numbers in values.items()
    }
    grouped = model.adapters.grouped_statistics(members)
    clips = model.adapters.grouped_statistics({number: [places[number]] for number in range(len(examples))})
    means = model.adapters.mean_gates()
    layers = model.adapters.statistics()
    weights = np.array([example.seconds for example in examples])
    loads = np.array([[record["load"] for record in clips[number]] for number in range(len(examples))])
    return Observation(
        layers=layers,
        by={
            label: {v: {"clips": len(n), "layers": grouped[label, v]} for v, n in values.items()}
            for label, values in groups.items()
        },
        information={
            label: [{"layer": record["layer"], **one} for record, one in zip(layers, figures, strict=True)]
            for label, values in groups.items()
            for figures in [information(loads, weights, values, seed=seed)]
        },
        means=means,
    )


def information(
    loads: Numbers, weights: Numbers, values: Mapping[str, Sequence[int]], *, seed: int
) -> list[dict[str, float]]:
    """Return for each layer the mutual information, in nats, of a frame's expert and its clip's label.

    The expert is a random variable with the gates as its distribution. The 95 % quantile over shuffled labels
    shows the bias: clips differ, so the estimate is positive for any label.

    :param loads: mean gates (n,L,E) of each clip.
    :param weights: durations (n,) of the clips.
    :param values: numbers of the clips of each value.
    """
    numbers = [number for clips in values.values() for number in clips]
    owners = np.repeat(np.arange(len(values)), [len(clips) for clips in values.values()])
    table, shares = loads[numbers], weights[numbers] / weights[numbers].sum()
    random = np.random.default_rng(seed)
    nats = _mutual_information(table, shares, owners, len(values))
    chance = [
        _mutual_information(table, shares, random.permutation(owners), len(values)) for _ in range(_SHUFFLES)
    ]
    limits = np.percentile(chance, 95, axis=0)
    return [{"nats": float(a), "chance": float(b)} for a, b in zip(nats, limits, strict=True)]


def _mutual_information(loads: Numbers, shares: Numbers, owners: NDArray[np.int64], values: int) -> Numbers:
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
