"""Batch invariance: a few clips alone and in one batch, through the whole model."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import attrs
import torch

from steermoe_core.data.layout import ids
from steermoe_core.model.generate import Capacity, Questions, answers, generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.generate import Answer
    from steermoe_core.model.joined import Joined

#: Largest difference due to the order of sums: in fp64 always, in fp32 on a CPU nearly always.
EXACT = 1e-5
#: Quantiles of length of the clips that are compared; the longest of all may take minutes to answer.
_PLACES = (0.0, 0.3, 0.6, 0.9)
#: Rounding of a logit as a share of the largest logit in fp32, and in epsilons in half precision.
_FP32, _HALF = 1e-4, 8


@attrs.frozen(kw_only=True)
class Invariance:
    """Differences between clips in one batch and the same clips alone.

    :param clips: ids of the clips.
    :param seconds: of the shortest and the longest of them.
    :param loss: difference of their loss, the mean over all tokens of their answers.
    :param logits: largest difference of a logit at an answer's position, as a share of the clip's largest.
    :param largest: the largest absolute value of all logits.
    :param texts: clips whose answers have other tokens.
    :param ties: those of them whose logits of the first two different tokens, alone, differ by less than
        rounding: either answer is right.
    """

    clips: list[str]
    seconds: tuple[float, float]
    loss: float
    logits: float
    largest: float
    texts: list[str]
    ties: list[str]

    @property
    def exact(self) -> bool:
        """Whether the order of sums explains all differences."""
        return self.loss <= EXACT and self.logits <= EXACT and self.texts == self.ties

    def within(self, share: float) -> bool:
        """Return whether rounding of logits by a share of the largest explains all differences."""
        return self.logits <= share and self.loss <= share * self.largest and self.texts == self.ties


def mixed(examples: Sequence[Example]) -> list[Example]:
    """Return up to four clips of different lengths, the longest in the middle."""
    if not examples:
        return []
    ordered = sorted(examples, key=lambda example: example.seconds)
    chosen = [ordered[place] for place in dict.fromkeys(round(p * (len(ordered) - 1)) for p in _PLACES)]
    return [*chosen[::2], *chosen[1::2][::-1]]


def rounding(model: Joined) -> float:
    """Return the rounding of a logit, as a share of the largest, in the model's lowest precision.

    It is 8 times the machine epsilon of bf16 (0.0625) and fp16 (0.0078), 1e-4 in fp32, and 1e-5 in fp64.
    """
    kinds = {tensor.dtype for tensor in model.parameters() if tensor.is_floating_point()}
    eps = max(torch.finfo(kind).eps for kind in kinds)
    if eps > torch.finfo(torch.float32).eps:
        return _HALF * eps
    return EXACT if eps < torch.finfo(torch.float32).eps else _FP32


@contextmanager
def in_fp64(model: Joined) -> Iterator[None]:
    """Convert all weights of a model to fp64 inside the block; their bits are the same after it."""
    tensors = [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()]
    kinds = [tensor.dtype for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.data = tensor.data.double()
        yield
    finally:
        for tensor, kind in zip(tensors, kinds, strict=True):
            tensor.data = tensor.data.to(kind)


@torch.no_grad()
def invariance(
    model: Joined, collator: Collator, examples: Sequence[Example], limit: Callable[[float], int]
) -> Invariance:
    """Compare clips alone with the same clips in one batch; the last is generated when another one has ended.

    :param examples: at least two, with answers that fit.
    :param limit: longest answer, in tokens, to a clip of a number of seconds.
    """
    device = next(model.parameters()).device
    limits = [limit(example.seconds) for example in examples]
    alone = [collator.collate([example]).to(device) for example in examples]
    single = [_logits(model, one) for one in alone]  # (Y_b,V) each
    together = _logits(model, collator.collate(examples).to(device))  # (N,V)
    pairs = list(zip(single, torch.split(together, [len(logits) for logits in single]), strict=True))
    questions = [collator.collate([example], answered=False).to(device) for example in examples]
    single_answers = [generate(model, one, [most])[0] for one, most in zip(questions, limits, strict=True)]
    batches = [collator.collate(part, answered=False).to(device) for part in (examples[:-1], examples[-1:])]
    rows = zip(examples, questions, single_answers, _together(model, batches, limits), strict=True)
    changed = [(example.id, one, a, b) for example, one, a, b in rows if a != b]
    return Invariance(
        clips=[example.id for example in examples],
        seconds=(min(e.seconds for e in examples), max(e.seconds for e in examples)),
        loss=abs(_loss(torch.cat(single), alone) - _loss(together, alone)),
        logits=torch.stack([(a - b).abs().max() / a.abs().max() for a, b in pairs]).max().item(),
        largest=torch.cat(single).abs().max().item(),
        texts=[name for name, *_ in changed],
        ties=[name for name, one, a, b in changed if _tie(model, one, a, b)],
    )


def _together(model: Joined, batches: Sequence[Batch], limits: Sequence[int]) -> list[Answer]:
    """Return the answers to all rows of two batches; the second joins when a row of the first has ended."""
    places = iter(range(len(limits)))
    rows = [list(islice(places, len(batch))) for batch in batches]
    asked = [
        Questions(batch, [limits[row] for row in own], own) for batch, own in zip(batches, rows, strict=True)
    ]
    found = dict(answers(model, asked, Capacity(rows=max(2, len(rows[0])))))
    return [found[row] for row in range(len(limits))]


def _logits(model: Joined, batch: Batch) -> torch.Tensor:
    """Return the logits (N,V) of every answer token and EOS of a batch, row after row."""
    return model.answer_logits(batch, model.audio(batch.features)).double()


def _loss(logits: torch.Tensor, batches: Sequence[Batch]) -> float:
    targets = torch.cat([batch.answer.rows()[0] for batch in batches])
    return torch.nn.functional.cross_entropy(logits, targets.to(logits.device)).item()


def _tie(model: Joined, batch: Batch, one: Answer, other: Answer) -> bool:
    """Return whether two answers to a batch of one clip first differ by no more than rounding."""
    ends = sorted({*batch.ends, model.decoder.eos})
    pairs = zip(one.ids, other.ids, strict=False)
    common = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one.ids), len(other.ids)))
    prefix = replace(batch, answer=ids([[*one.ids[:common], ends[0]]]))
    logits = _logits(model, prefix)[-1]  # (V,) of the first token that differs
    # An answer that has no token at this position was ended by one of the end tokens.
    first, second = (logits[answer.ids[common : common + 1] or ends].max() for answer in (one, other))
    return bool((first - second).abs() <= rounding(model) * logits.abs().max())
