"""Greedy generation in batches: each row has its own limit and stops on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs
import torch

from steermoe_core.data.padded import Padded
from steermoe_core.model.recompute import unrecorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined


@attrs.frozen
class Answer:
    """The decoder's answer to one clip: token ids without the end token, and why it stopped."""

    ids: list[int]
    stop: Literal["eos", "limit"]

    def cut(self, limit: int) -> Answer:
        """Return the answer under a smaller limit: greedy generation never looks ahead."""
        return self if len(self.ids) < limit else Answer(self.ids[:limit], "limit")


@torch.no_grad()
def generate(model: Joined, batch: Batch, limits: Sequence[int], audio: Padded | None = None) -> list[Answer]:
    """Generate an answer for every row of the batch, greedily.

    Rows are independent: an answer does not depend on the other utterances of the batch.

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
    answers = _Answers(limits, {*batch.ends, model.decoder.eos})
    _extend(model, cache, hidden[rows, inputs.lengths - 1], mask, before + inputs.lengths, answers)
    return answers.done()


def _extend(
    model: Joined,
    cache: Any,
    last: torch.Tensor,
    mask: torch.Tensor,
    positions: torch.Tensor,
    answers: _Answers,
) -> None:
    """Extend every row from its last hidden state (B,H); finished rows leave the batch at once."""
    decoder = model.decoder
    while answers.alive:
        tokens = decoder.logits(last).argmax(-1)  # (B,)
        alive = answers.append(tokens.tolist())
        if len(alive) < len(tokens):
            keep = torch.tensor(alive, device=last.device, dtype=torch.long)
            tokens, mask, positions = tokens[keep], mask[keep], positions[keep]
            cache.batch_select_indices(keep)
        if alive:
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)
            inputs = Padded(decoder.embed(tokens)[:, None], torch.ones_like(positions))  # (B,1,H)
            with unrecorded():
                last = model.positions(inputs, mask, positions[:, None], cache)[:, 0]
            positions = positions + 1


class _Answers:
    """The answers so far, and the rows that are not finished."""

    def __init__(self, limits: Sequence[int], ends: set[int]) -> None:
        self.limits = limits
        self.ends = ends
        self.ids: list[list[int]] = [[] for _ in limits]
        self.ended: set[int] = set()
        self.alive = list(range(len(limits)))  # unfinished rows, in the batch's order

    def append(self, tokens: Sequence[int]) -> list[int]:
        """Add a token to each unfinished row; return which of these rows, by place, are still unfinished."""
        rows = list(zip(self.alive, tokens, strict=True))
        places = [place for place, (row, token) in enumerate(rows) if self._continues(row, token)]
        self.alive = [self.alive[place] for place in places]
        return places

    def done(self) -> list[Answer]:
        """Return the finished answers."""
        return [Answer(ids, "eos" if row in self.ended else "limit") for row, ids in enumerate(self.ids)]

    def _continues(self, row: int, token: int) -> bool:
        if len(self.ids[row]) >= self.limits[row]:
            return False
        if token in self.ends:
            self.ended.add(row)
            return False
        self.ids[row].append(token)
        return len(self.ids[row]) < self.limits[row]
