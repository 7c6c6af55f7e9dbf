"""Batch invariance: a few clips alone and in one batch, through the whole model."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import attrs
import torch

from steermoe_core.data.layout import ids
from steermoe_core.model.generate import Capacity
from steermoe_core.model.nbest import Choice, answer_all, sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.evaluate.evaluation import Evaluator
    from steermoe_core.model.generate import Answer, Questions
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
        rounding, or the sums by which they were chosen: either answer is right.
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
def invariance(evaluator: Evaluator, examples: Sequence[Example]) -> Invariance:
    """Compare clips alone with the same clips together, the last answered when another one has ended.

    :param evaluator: answers are generated or chosen as it does.
    :param examples: at least two, with answers that fit.
    """
    model, collator = evaluator.model, evaluator.collator
    device = next(model.parameters()).device
    alone = [collator.collate([example]).to(device) for example in examples]
    single = [_logits(model, one) for one in alone]  # (Y_b,V) each
    together = _logits(model, collator.collate(examples).to(device))  # (N,V)
    pairs = list(zip(single, torch.split(together, [len(logits) for logits in single]), strict=True))
    single_answers = [_answers(evaluator, [[example]])[0] for example in examples]
    rows = zip(examples, single_answers, _answers(evaluator, [examples[:-1], examples[-1:]]), strict=True)
    changed = [(example, a, b) for example, a, b in rows if a != b]
    return Invariance(
        clips=[example.id for example in examples],
        seconds=(min(e.seconds for e in examples), max(e.seconds for e in examples)),
        loss=abs(_loss(torch.cat(single), alone) - _loss(together, alone)),
        logits=torch.stack([(a - b).abs().max() / a.abs().max() for a, b in pairs]).max().item(),
        largest=torch.cat(single).abs().max().item(),
        texts=[example.id for example, *_ in changed],
        ties=[example.id for example, a, b in changed if _tie(evaluator, example, a, b)],
    )


def _answers(evaluator: Evaluator, batches: Sequence[Sequence[Example]]) -> list[Answer]:
    """Return the answers to all clips; a generated batch joins when a row of the one before has ended."""
    places, count = iter(range(sum(map(len, batches)))), max(2, len(batches[0]))
    questions = (_question(evaluator, batch, [next(places) for _ in batch]) for batch in batches)
    found = dict(answer_all(evaluator.model, questions, Capacity(rows=count)))
    return [found[row] for row in range(len(found))]


def _question(evaluator: Evaluator, examples: Sequence[Example], keys: Sequence[int]) -> Questions:
    """Return what is asked about clips, with their own audio tokens."""
    model = evaluator.model
    batch = evaluator.collator.collate(examples, answered=False).to(next(model.parameters()).device)
    frames = model.frames(batch.features)
    limits = [evaluator.limit(example.seconds) for example in examples]
    return evaluator.question(batch, limits, keys, frames, model.projector(frames)[0])


def _logits(model: Joined, batch: Batch) -> torch.Tensor:
    """Return the logits (N,V) of every answer token and EOS of a batch, row after row."""
    return model.answer_logits(batch, model.audio(batch.features)).double()


def _loss(logits: torch.Tensor, batches: Sequence[Batch]) -> float:
    targets = torch.cat([batch.answer.rows()[0] for batch in batches])
    return torch.nn.functional.cross_entropy(logits, targets.to(logits.device)).item()


def _tie(evaluator: Evaluator, example: Example, one: Answer, other: Answer) -> bool:
    """Return whether two answers to a clip are apart by no more than rounding, as it is answered alone."""
    asked = _question(evaluator, [example], [0])
    if isinstance(asked, Choice):
        return _chosen_tie(evaluator.model, asked, one, other)
    return _generated_tie(evaluator.model, asked, one, other)


def _chosen_tie(model: Joined, asked: Choice, one: Answer, other: Answer) -> bool:
    """Compare what was chosen by; a text that was not proposed is no tie."""
    (proposals,), (limit,), (audio,) = asked.proposals, asked.limits, model.audio(asked.batch.features).rows()
    scores = sums(model, asked.batch, audio, proposals, asked.weight)
    by_text = {tuple(p.tokens[:limit]): score for p, score in zip(proposals, scores, strict=True)}
    first, second = (by_text.get(tuple(answer.ids), math.inf) for answer in (one, other))
    return abs(first - second) <= rounding(model) * max(map(abs, scores), default=0.0)


def _generated_tie(model: Joined, asked: Questions, one: Answer, other: Answer) -> bool:
    """Compare the logits of the first tokens that differ."""
    batch = asked.batch
    ends = sorted({*batch.ends, model.decoder.eos})
    pairs = zip(one.ids, other.ids, strict=False)
    common = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one.ids), len(other.ids)))
    prefix = replace(batch, answer=ids([[*one.ids[:common], ends[0]]]))
    logits = _logits(model, prefix)[-1]  # (V,) of the first token that differs
    # An answer that has no token at this position was ended by one of the end tokens.
    first, second = (logits[answer.ids[common : common + 1] or ends].max() for answer in (one, other))
    return bool((first - second).abs() <= rounding(model) * logits.abs().max())
