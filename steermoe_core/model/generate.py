"""Greedy generation in batches: each row has its own limit and stops on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.data.layout import Batch
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.joined import Joined


@attrs.frozen
class Answer:
    """What the decoder wrote for one clip: token ids without EOS, and why it stopped."""

    ids: list[int]
    stop: Literal["eos", "limit"]

    def cut(self, limit: int) -> Answer:
        """Return what a smaller limit would have given: greedy generation never looks ahead."""
        return self if len(self.ids) < limit else Answer(self.ids[:limit], "limit")


@torch.no_grad()
def generate(model: Joined, batch: Batch, limits: Sequence[int], audio: Padded | None = None) -> list[Answer]:
    """Return the most probable next token, one after the other, for every row of the batch.

    Rows are independent of one another: what a clip is answered with does not depend on its batch-mates.

    :param limits: largest number of tokens of each row.
    :param audio: audio tokens to use instead of the model's own.
    """
    tokens = model.audio(batch.features) if audio is None else audio
    inputs, prefix = model.inputs(batch, tokens, answered=False)
    cache = model.decoder.new_cache(prefix, len(inputs))
    hidden = model.hidden(inputs, prefix, cache)  # (B,S,H)
    rows = torch.arange(len(inputs), device=hidden.device)
    before = prefix[0][0].shape[2] if prefix else 0
    mask = torch.nn.functional.pad(inputs.mask.long(), (before, 0), value=1)
    return _continue(model, cache, hidden[rows, inputs.lengths - 1], mask, before + inputs.lengths, limits)


def _continue(
    model: Joined, cache: Any, last: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, limits: Sequence[int]
) -> list[Answer]:
    """Extend every row from its last hidden state (B,H); finished rows leave the batch at once."""
    decoder = model.decoder
    said: list[list[int]] = [[] for _ in limits]
    stops: list[Literal["eos", "limit"]] = ["limit" for _ in limits]
    alive = list(range(len(limits)))  # rows that still speak, in the batch's order
    while alive:
        chosen = decoder.logits(last).argmax(-1)  # (B,)
        going = _append(said, stops, alive, chosen.tolist(), limits, decoder.eos)
        if len(going) < len(alive):
            keep = torch.tensor(going, device=last.device, dtype=torch.long)
            alive = [alive[place] for place in going]
            chosen, mask, positions = chosen[keep], mask[keep], positions[keep]
            cache.batch_select_indices(keep)
        if alive:
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)
            last = decoder.hidden(decoder.embed(chosen)[:, None], mask, positions[:, None], cache)[:, 0]
            positions = positions + 1
    return [Answer(ids, stop) for ids, stop in zip(said, stops, strict=True)]


def _append(
    said: list[list[int]],
    stops: list[Literal["eos", "limit"]],
    alive: list[int],
    chosen: list[int],
    limits: Sequence[int],
    eos: int,
) -> list[int]:
    """Add each living row's token to what it said; return the places of the rows that go on."""
    going = []
    for place, (row, token) in enumerate(zip(alive, chosen, strict=True)):
        if limits[row] < 1:
            continue
        if token == eos:
            stops[row] = "eos"
            continue
        said[row].append(token)
        if len(said[row]) < limits[row]:
            going.append(place)
    return going
