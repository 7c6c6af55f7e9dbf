"""What the engine leaves out changes no number: each short cut next to the long way, on the real parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.padded import Padded
from tests.benchmarks.figure import Figure
from tests.benchmarks.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from steermoe_core.data.layout import Batch

#: Largest difference of a loss, a gate or a frame.
SAME = 1e-4


@torch.no_grad()
def identities(*, quick: bool) -> Iterator[Figure]:
    """Yield the largest difference that each short cut makes."""
    lab = Lab("train.steps=1", "train.bucket=1", f"train.batch_size={4 if quick else 8}")
    batch = lab.batches()[0]
    checks = {
        "head at answer positions ≡ all logits": head,
        "router slice ≡ full router": router,
        "prefix computed once ≡ in every row": prefix,
        "batch with true lengths ≡ unpadded clips": lengths,
        "decoder with packed clips ≡ padded": packed,
        "audio tokens without padding ≡ padded, masked": trimmed,
    }
    for name, check in checks.items():
        yield Figure(name=name, value=check(lab, batch), bound=SAME, detail="largest difference")


def head(lab: Lab, batch: Batch) -> float:
    """Compare losses with those from logits at all positions."""
    model, audio = lab.model, lab.model.audio(batch.features)
    inputs, shared = model.inputs(batch, audio, answered=True)
    logits = model.decoder.logits(model.hidden(inputs, shared))  # (B,S,V)
    labels = torch.full(logits.shape[:2], -100)
    for row, (length, answer) in enumerate(zip(inputs.lengths.tolist(), batch.answer.rows(), strict=True)):
        labels[row, length - len(answer) : length] = answer
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return _apart(losses[labels.flatten() >= 0], model.answer_losses(batch, audio))


def router(lab: Lab, batch: Batch) -> float:
    """Compare gates with the slices of all layers' logits."""
    adapter, frames = lab.model.adapter, lab.model.encoder(batch.features).values
    weight, bias = adapter.router.weight, adapter.router.bias  # (L,E,D), (L,E)
    logits = F.linear(frames, weight.flatten(0, 1), bias.flatten()).unflatten(-1, bias.shape)  # (B,T,L,E)
    return max(_apart(logits[:, :, row].softmax(-1), adapter.router(frames, row)) for row in range(len(bias)))


def prefix(lab: Lab, batch: Batch) -> float:
    """Compare losses with those of a batch that shares no prefix."""
    audio = lab.model.audio(batch.features)
    own = replace(batch, shared=0)
    assert batch.shared_before()
    assert not own.shared_before()
    return _apart(lab.model.answer_losses(own, audio), lab.model.answer_losses(batch, audio))


def packed(lab: Lab, batch: Batch) -> float:
    """Compare losses with those where the decoder computes all clips in one row."""
    audio, losses = lab.model.audio(batch.features), {}
    for lab.model.decoder.packing in (True, False):
        losses[lab.model.decoder.packing] = lab.model.answer_losses(batch, audio)
    return _apart(losses[True], losses[False])


def lengths(lab: Lab, batch: Batch) -> float:
    """Compare losses with those of each clip alone, from its sound file on."""
    chosen = {example.id: example for example in lab.examples}
    alone = [lab.collator([chosen[name]]) for name in batch.ids]
    assert len({int(one.features.lengths) for one in alone}) > 1
    return _apart(torch.cat([_losses(lab, one) for one in alone]), _losses(lab, batch))


def trimmed(lab: Lab, batch: Batch) -> float:
    """Compare losses with those where every row keeps all audio tokens of the longest, masked."""
    model, audio = lab.model, lab.model.audio(batch.features)
    embed, heard = model.decoder.embed, audio.values.shape[1]
    text = [
        torch.cat([after, answer[:-1]])
        for after, answer in zip(batch.after.rows(), batch.answer.rows(), strict=True)
    ]
    tail, before = Padded.stack(text), batch.before
    values = torch.cat([embed(before.values), audio.values, embed(tail.values)], dim=1)
    mask = torch.cat([before.mask, audio.mask, tail.mask], dim=1)
    hidden = model.decoder.hidden(values, mask.long(), (mask.cumsum(1) - 1).clamp_min(0), None)
    start = before.values.shape[1] + heard - 1  # the first answer token is predicted from the last of `after`
    rows, steps = batch.answer.mask.nonzero(as_tuple=True)
    logits = model.decoder.logits(hidden[rows, start + batch.after.lengths[rows] + steps])
    losses = F.cross_entropy(logits, batch.answer.values[rows, steps], reduction="none")
    return _apart(losses, model.answer_losses(batch, audio))


def _losses(lab: Lab, batch: Batch) -> Tensor:
    return lab.model.answer_losses(batch, lab.model.audio(batch.features))


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())
