"""Greedy generation of many rows: each has its own limit, and rows that end make room for waiting ones.

    columns of the key-value cache   [ padding | prefix | row | answer so far ]

All rows end in the last column, whatever their lengths: a step adds one column, rows in it have no gaps, and
a row that leaves or joins moves no other row's positions. Where rows have changed, the cache is put together
again; padding that the longest row left behind goes.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import attrs
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.padded import Padded
from steermoe_core.model.recompute import unrecorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from steermoe_core.data.layout import Batch
    from steermoe_core.model.decoder import Decoder
    from steermoe_core.model.joined import Joined

#: Tokens between two looks at them. On an accelerator a look waits for the device; on a CPU it costs nothing,
#: and a row that has ended is not extended in vain.
EVERY, EVERY_ON_CPU = 4, 1


@attrs.frozen
class Answer:
    """The decoder's answer to one clip: token ids without the end token, and why it stopped."""

    ids: list[int]
    stop: Literal["eos", "limit"]

    def cut(self, limit: int) -> Answer:
        """Return the answer under a smaller limit: greedy generation never looks ahead."""
        return self if len(self.ids) < limit else Answer(self.ids[:limit], "limit")


@attrs.frozen(eq=False)
class Questions:
    """A batch of rows that wait for their answers.

    :param limits: largest number of tokens of each row.
    :param keys: of the rows; each is returned with the row's answer.
    :param audio: audio tokens to use instead of the model's own.
    """

    batch: Batch
    limits: Sequence[int]
    keys: Sequence[Any]
    audio: Padded | None = None


@attrs.frozen
class Capacity:
    """The room for rows that are generated together; without a bound there is room for all.

    :param rows: their largest number.
    :param tokens: largest number of cached tokens: the rows times the longest of them, answer included.
    """

    rows: int | None = None
    tokens: int | None = None

    def holds(self, lengths: Sequence[int]) -> bool:
        """Return whether rows of these lengths fit."""
        if self.rows is not None and len(lengths) > self.rows:
            return False
        return self.tokens is None or len(lengths) * max(lengths, default=0) <= self.tokens


def generate(model: Joined, batch: Batch, limits: Sequence[int], audio: Padded | None = None) -> list[Answer]:
    """Generate an answer for every row of the batch, greedily.

    Rows are independent: an answer does not depend on the other utterances of the batch.

    :param limits: largest number of tokens of each row.
    :param audio: audio tokens to use instead of the model's own.
    """
    found = dict(answers(model, [Questions(batch, limits, range(len(limits)), audio)]))
    return [found[row] for row in range(len(limits))]


@torch.no_grad()
def answers(
    model: Joined,
    questions: Iterable[Questions],
    capacity: Capacity = Capacity(),
    every: int | None = None,
) -> Iterator[tuple[Any, Answer]]:
    """Yield the key and the answer of each row when it ends; the next batch joins as soon as there is room.

    A batch that exceeds the capacity by itself is generated alone. Each batch is read in one pass of the
    decoder: what adapters record does not depend on when it joined.

    :param questions: taken one by one, each when the one before it has joined.
    :param every: tokens between two looks at them; by default 1 on a CPU and 4 elsewhere.
    """
    cpu = model.decoder.embeddings.device.type == "cpu"
    every = every or (EVERY_ON_CPU if cpu else EVERY)
    running = _Rows.none()
    for waiting in chain((_Waiting.of(model, one) for one in questions), [None]):
        while running.rows and not (waiting and capacity.holds([*running.reserved(), *waiting.reserved()])):
            running = running.extended(model, every)
            yield from running.ended()
            running = running.settled(model.decoder)
        if waiting:
            joining = waiting.read(model)
            yield from joining.ended()
            running = running.settled(model.decoder, joining)


@attrs.define(eq=False)
class _Row:
    """A row of the decoder: its place in the cache, and its answer so far.

    :param length: its positions in the cache.
    """

    key: Any
    limit: int
    ends: frozenset[int]
    length: int
    ids: list[int] = attrs.field(factory=list)
    answer: Answer | None = None

    def add(self, tokens: Sequence[int]) -> None:
        """Add tokens to the answer up to its end; what follows is dropped."""
        for token in tokens[: self.limit - len(self.ids)]:
            if token in self.ends:
                self.answer = Answer(self.ids, "eos")
                return
            self.ids.append(token)
        if len(self.ids) >= self.limit:
            self.answer = Answer(self.ids, "limit")


@attrs.frozen(eq=False)
class _Waiting:
    """A batch that is laid out for the decoder."""

    inputs: Padded  # (B,S,H)
    prefix: Any
    rows: list[_Row]

    @classmethod
    def of(cls, model: Joined, questions: Questions) -> _Waiting:
        """Encode the audio and lay the batch out."""
        batch = questions.batch
        audio = model.audio(batch.features) if questions.audio is None else questions.audio
        inputs, prefix = model.inputs(batch, audio, answered=False)
        before = prefix[0][0].shape[2] if prefix else 0
        ends = frozenset({*batch.ends, model.decoder.eos})
        told = zip(questions.keys, questions.limits, inputs.host_lengths.tolist(), strict=True)
        rows = [_Row(key, limit, ends, before + length) for key, limit, length in told]
        return cls(inputs, prefix, rows)

    def reserved(self) -> list[int]:
        """Return the length that each row may reach."""
        return [row.length + row.limit for row in self.rows if row.limit]

    def read(self, model: Joined) -> _Rows:
        """Read the rows and choose the first token of each."""
        decoder, inputs = model.decoder, self.inputs
        cache = decoder.new_cache(self.prefix, len(inputs))
        hidden = model.hidden(inputs, self.prefix, cache)  # (B,S,H)
        places = torch.arange(len(inputs), device=hidden.device)
        tokens = decoder.logits(hidden[places, inputs.lengths - 1]).argmax(-1)  # (B,)
        for row, token in zip(self.rows, tokens.tolist(), strict=True):
            row.add([token])
        return _Rows(self.rows, [row.length for row in self.rows], tokens, cache)


@attrs.frozen(eq=False)
class _Rows:
    """Rows in one key-value cache.

    :param rows: all rows of the cache, also those that have their answer.
    :param ends: the column of the cache after the last token of each.
    :param tokens: (B,), the last token of each row, which is not in the cache yet.
    """

    rows: list[_Row]
    ends: list[int]
    tokens: torch.Tensor
    cache: Any

    @classmethod
    def none(cls) -> _Rows:
        """Return no rows."""
        return cls([], [], torch.empty(0), None)

    def reserved(self) -> list[int]:
        """Return the length that each row may reach."""
        return [row.length + row.limit - len(row.ids) for row in self.rows]

    def ended(self) -> Iterator[tuple[Any, Answer]]:
        """Yield the answers of the rows that have one."""
        for row in self.rows:
            if row.answer is not None:
                yield row.key, row.answer

    def extended(self, model: Joined, most: int) -> _Rows:
        """Return the rows with further tokens, the same number for each and no more than any may have."""
        decoder, steps = model.decoder, min(most, *(row.limit - len(row.ids) for row in self.rows))
        lengths = _sent([row.length for row in self.rows], self.tokens.device)
        columns = torch.arange(self.ends[0], device=lengths.device)
        mask = (columns >= self.ends[0] - lengths[:, None]).long()  # (B,C), all rows end in the last column
        chosen = [self.tokens]
        with unrecorded():
            for step in range(steps):
                mask = F.pad(mask, (0, 1), value=1)
                inputs = Padded(decoder.embed(chosen[-1])[:, None], torch.ones_like(lengths))  # (B,1,H)
                hidden = model.positions(inputs, mask, (lengths + step)[:, None], self.cache)  # (B,1,H)
                chosen.append(decoder.logits(hidden[:, 0]).argmax(-1))
        found = torch.stack(chosen[1:], 1).tolist()  # waits for the device
        for row, tokens in zip(self.rows, found, strict=True):
            row.add(tokens)
            row.length += steps
        return _Rows(self.rows, [end + steps for end in self.ends], chosen[-1], self.cache)

    def settled(self, decoder: Decoder, *joining: _Rows) -> _Rows:
        """Return the rows without an answer, with those that join, in one cache where all end together.

        The caches that the rows were in are used up.
        """
        parts = [(part, part.alive()) for part in (self, *joining) if part.alive()]
        if not parts:
            return _Rows.none()
        if not joining and len(parts[0][1]) == len(self.rows):
            return self
        rows = [part.rows[place] for part, alive in parts for place in alive]
        columns = max(row.length for row in rows)
        layers = zip(*(part.moved(alive, columns) for part, alive in parts), strict=True)
        pairs = (zip(*layer, strict=True) for layer in layers)  # keys of all parts, values of all parts
        kept = [(torch.cat(keys), torch.cat(values)) for keys, values in pairs]
        tokens = torch.cat([part.tokens[_sent(alive, part.tokens.device)] for part, alive in parts])
        return _Rows(rows, [columns] * len(rows), tokens, decoder.new_cache(kept, len(rows)))

    def alive(self) -> list[int]:
        """Return the places of the rows without an answer."""
        return [place for place, row in enumerate(self.rows) if row.answer is None]

    def moved(self, places: Sequence[int], columns: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield each layer's keys and values (B,heads,columns,d) of rows that now end in the last column.

        The layers leave the cache one by one, so that memory does not hold them twice.
        """
        device = self.tokens.device
        ends = _sent([self.ends[place] for place in places], device)
        source = ends[:, None] - columns + torch.arange(columns, device=device)  # (B,columns), < 0: padding
        at = (_sent(places, device)[:, None], slice(None), source.clamp_min(0))
        while self.cache.layers:
            layer = self.cache.layers.pop(0)
            yield layer.keys[at].transpose(1, 2), layer.values[at].transpose(1, 2)


def _sent(numbers: Sequence[int], device: torch.device) -> torch.Tensor:
    """Return numbers (n,) on a device, without a wait for it."""
    return torch.tensor(numbers, device="cpu").to(device, non_blocking=True)
