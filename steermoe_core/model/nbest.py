"""N-best rescoring: a CTC head proposes texts, and the decoder, which reads the audio tokens, chooses.

    answer = argmax over proposals y of   log p(y | CTC) + weight · log p(y | decoder)

The empty text is no candidate: the decoder prefers short texts, and a short word would be lost to it. CTC
alone decides that nothing was said.

A small language model that generates freely summarises long clips or repeats itself. Here every answer is a
text that CTC finds probable, so that it has about as many words as are spoken. See "N-best rescoring" in
docs/explanation/soft-ctc.md.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.data.layout import ids
from steermoe_core.data.padded import Padded
from steermoe_core.model.generate import Answer, Questions, answers
from steermoe_core.model.recompute import unrecorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from steermoe_core.data.layout import Batch
    from steermoe_core.model.generate import Capacity
    from steermoe_core.model.joined import Joined

#: Labels that a frame may add to a prefix, its most probable ones.
LABELS = 16
#: Nothing was said if CTC gives the empty text e³ = 20 times the probability of any other.
SILENT = 3.0
_NEVER = -math.inf
#: Label sequences, with the log probabilities of the paths that end in a blank and in the last label.
_Beam = dict[tuple[int, ...], tuple[float, float]]


@attrs.frozen
class Proposal:
    """Token ids without the end token, and the logarithm of their probability under CTC."""

    tokens: list[int]
    log_probability: float


@attrs.frozen(eq=False)
class Choice(Questions):
    """A batch of rows whose answers are chosen among proposals.

    :param proposals: of each row, best first; none, or an empty text far ahead, gives the empty answer.
    :param weight: of the decoder's log probability.
    """

    proposals: Sequence[Sequence[Proposal]] = ()
    weight: float = 0.0


def answer_all(
    model: Joined, questions: Iterable[Questions], capacity: Capacity
) -> Iterator[tuple[Any, Answer]]:
    """Yield the key and the answer of each row: chosen if the batches are `Choice`s, else generated.

    :param questions: all of one kind; taken one by one.
    """
    batches = iter(questions)
    for first in batches:
        whole = chain([first], batches)
        if isinstance(first, Choice):
            for one in whole:
                yield from choices(model, one)  # type: ignore[arg-type] # all of one kind
        else:
            yield from answers(model, whole, capacity)


@torch.no_grad()
def choices(model: Joined, questions: Choice) -> Iterator[tuple[Any, Answer]]:
    """Yield the key and the chosen answer of each row; rows are read one after the other."""
    audio = model.audio(questions.batch.features) if questions.audio is None else questions.audio
    model.read(questions.batch, audio)
    rows = zip(questions.keys, questions.limits, questions.proposals, audio.rows(), strict=True)
    for number, (key, limit, proposals, heard) in enumerate(rows):
        with unrecorded():  # a statistic counts a clip once
            chosen = _chosen(model, questions.batch.row(number), heard, proposals, questions.weight)
        yield key, Answer(chosen[:limit], "eos" if len(chosen) <= limit else "limit")


def _chosen(
    model: Joined, row: Batch, audio: torch.Tensor, proposals: Sequence[Proposal], weight: float
) -> list[int]:
    spoken = _spoken(proposals)
    if len(spoken) < 2 or not weight:  # noqa: PLR2004 - nothing to choose, or CTC alone chooses
        return spoken[0].tokens if spoken else []
    scores = sums(model, row, audio, spoken, weight)
    return spoken[max(range(len(scores)), key=scores.__getitem__)].tokens


def _spoken(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Return the proposals with words, best first; none where CTC is sure that nothing was said."""
    spoken = [proposal for proposal in proposals if proposal.tokens]
    empty = max((proposal.log_probability for proposal in proposals if not proposal.tokens), default=_NEVER)
    return spoken if spoken and empty - spoken[0].log_probability < SILENT else []


def sums(
    model: Joined, row: Batch, audio: torch.Tensor, proposals: Sequence[Proposal], weight: float
) -> list[float]:
    """Return the log probabilities of proposals, CTC's and the decoder's with its weight.

    :param row: a batch of one row.
    :param audio: (A,H), its audio tokens.
    """
    read = _read(model, row, audio, [proposal.tokens for proposal in proposals])
    return [proposal.log_probability - weight * loss for proposal, loss in zip(proposals, read, strict=True)]


def _read(model: Joined, row: Batch, audio: torch.Tensor, answers: list[list[int]]) -> list[float]:
    """Return the decoder's loss of each answer to a row."""
    if model.branching:
        found: list[float] = model.branch_losses(row, Padded.stack([audio]), answers).tolist()
        return found
    batch = _proposed(row, answers)
    losses = model.answer_losses(batch, Padded.stack([audio] * len(answers)))  # (N,)
    lengths = batch.answer.host_lengths.tolist()
    return torch.stack([part.sum() for part in torch.split(losses, lengths)]).tolist()


def _proposed(row: Batch, answers: list[list[int]]) -> Batch:
    """Return a batch that holds the row once with each answer."""
    times = len(answers)
    end = row.ends[0]

    def repeated(part: Padded) -> Padded:
        return Padded(part.values.expand(times, *part.values.shape[1:]), part.host_lengths.repeat(times))

    return replace(
        row,
        ids=row.ids * times,
        before=repeated(row.before),
        after=repeated(row.after),
        answer=ids([[*tokens, end] for tokens in answers]),
        seconds=row.seconds.repeat(times),
    )


def prefix_beam_search(log_probabilities: torch.Tensor, most: int) -> list[tuple[list[int], float]]:
    """Return the most probable label sequences under CTC, best first, with their log probabilities.

    Prefix beam search (Hannun et al., arXiv 1408.2873): the paths that end in a blank and those that end in
    the last label are summed apart for each prefix. The beam is `most`; a frame adds one of its most probable
    labels, so that sums lack the paths through the others.

    :param log_probabilities: (T,1+C), the blank at index 0; labels are 1…C.
    """
    found: _Beam = {(): (0.0, _NEVER)}
    values, places = log_probabilities.topk(min(LABELS, log_probabilities.shape[1]))
    frames = zip(log_probabilities[:, 0].tolist(), values.tolist(), places.tolist(), strict=True)
    for blank, best, labels in frames:
        added = [(label, value) for label, value in zip(labels, best, strict=True) if label]
        grown = _kept(found, blank, dict(added))
        totals = {prefix: _sum(*both) for prefix, both in grown.items()}
        # A longer prefix is reached from one other only: below the last of a full beam, it stays outside.
        least = min(totals.values()) if len(totals) >= most else _NEVER
        for prefix, both in found.items():
            whole = _sum(*both)
            for label, value in added:  # most probable first
                if whole + value <= least:
                    break
                longer = (*prefix, label)
                if longer not in found:
                    totals[longer] = (both[0] if prefix[-1:] == (label,) else whole) + value
                    grown[longer] = (_NEVER, totals[longer])
        ranked = sorted(totals, key=totals.__getitem__, reverse=True)
        found = {prefix: grown[prefix] for prefix in ranked[:most]}
    ends = {prefix: _sum(*both) for prefix, both in found.items()}
    return [(list(prefix), value) for prefix, value in ends.items() if value != _NEVER]


def _kept(found: _Beam, blank: float, labels: dict[int, float]) -> _Beam:
    """Return the prefixes of a beam after a frame, with all paths between them, but no new ones."""
    kept = {}
    for prefix, (in_blank, in_label) in found.items():
        value = labels.get(prefix[-1], _NEVER) if prefix else _NEVER
        paths = in_label + value  # the last label goes on
        if value != _NEVER and (shorter := found.get(prefix[:-1])) is not None:
            paths = _sum(paths, (shorter[0] if prefix[-2:-1] == prefix[-1:] else _sum(*shorter)) + value)
        kept[prefix] = (_sum(in_blank, in_label) + blank, paths)
    return kept


def _sum(one: float, other: float) -> float:
    """Return log(e^one + e^other)."""
    most, least = (one, other) if one >= other else (other, one)
    return most if least == _NEVER else most + math.log1p(math.exp(least - most))
