"""Whether a clip depends on its batch: a few clips alone and together, through the whole model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch

from steermoe_core.model.generate import generate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.generate import Answer
    from steermoe_core.model.joined import Joined

#: Places among the clips sorted by length; not the longest of all, which may have to be answered for minutes.
_PLACES = (0.0, 0.3, 0.6, 0.9)


@attrs.frozen(kw_only=True)
class Invariance:
    """What changes for clips that come together in a batch instead of alone.

    :param clips: ids of the clips.
    :param seconds: of the shortest and the longest of them.
    :param loss: difference of their loss, the mean over all tokens of their answers.
    :param logits: largest difference of a logit at an answer's position, as a share of the largest logit.
    :param texts: clips that are answered with other tokens.
    """

    clips: list[str]
    seconds: tuple[float, float]
    loss: float
    logits: float
    texts: list[str]


def mixed(examples: Sequence[Example]) -> list[Example]:
    """Return up to four clips of different lengths, the longest in the middle."""
    if not examples:
        return []
    ordered = sorted(examples, key=lambda example: example.seconds)
    chosen = [ordered[place] for place in dict.fromkeys(round(p * (len(ordered) - 1)) for p in _PLACES)]
    return [*chosen[::2], *chosen[1::2][::-1]]


@torch.no_grad()
def invariance(
    model: Joined, collator: Collator, examples: Sequence[Example], limit: Callable[[float], int]
) -> Invariance:
    """Compare clips alone with the same clips in one batch.

    :param examples: with answers that fit.
    :param limit: longest answer, in tokens, to a clip of so many seconds.
    """
    device = next(model.parameters()).device
    limits = [limit(example.seconds) for example in examples]
    alone = [collator.collate([example]).to(device) for example in examples]
    heard = [_logits(model, one) for one in alone]  # (Y_b,V) each
    together = _logits(model, collator.collate(examples).to(device))  # (N,V)
    answers = [
        generate(model, collator.collate([example], answered=False).to(device), [most])[0]
        for example, most in zip(examples, limits, strict=True)
    ]
    batch = collator.collate(examples, answered=False).to(device)
    parts = torch.split(together, [len(logits) for logits in heard])
    return Invariance(
        clips=[example.id for example in examples],
        seconds=(min(e.seconds for e in examples), max(e.seconds for e in examples)),
        loss=abs(_loss(torch.cat(heard), alone) - _loss(together, alone)),
        logits=max(((a - b).abs().max() / a.abs().max()).item() for a, b in zip(heard, parts, strict=True)),
        texts=_changed(examples, answers, generate(model, batch, limits)),
    )


def _logits(model: Joined, batch: Batch) -> torch.Tensor:
    """Return the logits (N,V) of every answer token and EOS of a batch, row after row."""
    return model.answer_logits(batch, model.audio(batch.features)).float()


def _loss(logits: torch.Tensor, batches: Sequence[Batch]) -> float:
    wanted = torch.cat([batch.answer.rows()[0] for batch in batches])
    return torch.nn.functional.cross_entropy(logits.double(), wanted).item()


def _changed(examples: Sequence[Example], one: Sequence[Answer], other: Sequence[Answer]) -> list[str]:
    return [e.id for e, a, b in zip(examples, one, other, strict=True) if a != b]
