"""Audio tokens that are mixtures of the language model's own embeddings, found by CTC.

Each frame x gives logits over text tokens c and a blank: scale · cos(M x, e_c), with e_c the frozen
embedding rows and one trained vector for the blank. CTC against the transcript trains M (and what lies
before it) without a language-model pass. For reading, frames whose best class is the blank are dropped,
each run of one best class becomes one token, and the token is the posterior-weighted mean of embeddings:
a point inside their convex hull, which a frozen language model can read from the first step on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.padded import Padded
from steermoe_core.errors import DataError
from steermoe_core.model.nbest import Proposal, prefix_beam_search
from steermoe_core.model.pooling import pool, pooled_length, pooled_width
from steermoe_core.model.projectors import Projector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steermoe_core.model.config import PoolConfig, SoftCtcConfig
    from steermoe_core.model.decoder import Decoder

BLANK = 0
#: Tokens of a vocabulary that a message names.
NAMED = 5


class SoftCtcProjector(Projector):
    """Linear map, cosine CTC head on the frozen embedding table, run compression."""

    vocabulary: torch.Tensor
    loss_name = "ctc"
    ctc = True

    def __init__(self, config: SoftCtcConfig, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.config = config
        self.start_steps = config.start_steps if config.start == "ctc" else 0
        self.loss_weight = config.weight
        self.map = nn.Linear(pooled_width(config.pool, width), decoder.width)
        self.blank = nn.Parameter(torch.randn(decoder.width) * decoder.width**-0.5)
        # (1,) each: ZeRO-3 does not take a number without dimensions.
        self.blank_bias = nn.Parameter(torch.tensor([config.blank_bias]))
        self.log_scale = nn.Parameter(torch.tensor([math.log(config.scale)]))
        self.register_buffer("vocabulary", torch.ones(len(decoder.embeddings), dtype=torch.bool))
        # In a tuple, so that torch does not register the decoder as a submodule. Its table is looked up at
        # each use: at ZeRO-3 it is gathered only then.
        self._decoder = (decoder,)

    def begin(self, answers: Iterable[list[int]], pairs: Iterable[tuple[Padded, Padded]]) -> None:
        self.vocabulary.copy_(self._tokens_of(answers))

    def extend(self, answers: Iterable[list[int]]) -> str | None:
        added = self._tokens_of(answers) & ~self.vocabulary
        if not added.any():
            return None
        before, new = int(self.vocabulary.sum()), added.nonzero().squeeze(-1).tolist()
        self.vocabulary |= added
        return f"the adapter's vocabulary of {before} grows by {len(new)}: {self._named(new)}"

    def tokens(self, frames: int) -> int:
        return pooled_length(self.config.pool, frames)

    @property
    def pooling(self) -> PoolConfig:
        return self.config.pool

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        pooled = pool(self.config.pool, frames)
        # As the decoder's input: some models scale the rows of their table.
        known = self.vocabulary.nonzero().squeeze(-1)
        rows = self._decoder[0].embed(known).to(frames.values.dtype)  # (C,H)
        tokens = self._compress(self._logits(pooled.values, rows), pooled, rows)
        return tokens, None if answer is None else self.loss(frames, answer)

    def loss(self, frames: Padded, answer: Padded) -> torch.Tensor:
        pooled = pool(self.config.pool, frames)
        chosen, correction = self._candidates(answer)
        rows = self._decoder[0].embeddings[chosen].to(frames.values.dtype)  # (C,H)
        logits = self._logits(pooled.values, rows) + F.pad(correction, (1, 0))
        classes = chosen.cumsum(0) * chosen  # (V,): the class of each token, from 1 on
        return _ctc(logits, pooled, answer.holding(classes[answer.values]))

    def emissions(self, frames: Padded, answer: Padded) -> Padded:
        pooled = self._log_probabilities(frames)
        found = pooled.values
        classes = (self.vocabulary.cumsum(0) * self.vocabulary)[answer.values]  # (B,Y), 0: it has none
        own = found.gather(2, classes[:, None].expand(-1, found.shape[1], -1))  # (B,T,Y)
        likeliest = found[..., 1:].amax(-1, keepdim=True)
        own = torch.where(classes[:, None] == BLANK, likeliest, own)
        return pooled.holding(torch.cat([found[..., :1], own], -1))

    def spans(self, frames: Padded, audio: Padded) -> list[list[tuple[float, float]]]:
        del audio  # of the same runs
        best, starts = _runs(self._log_probabilities(frames))
        number = (starts.cumsum(1) - 1).masked_fill(best == BLANK, -1).tolist()  # (B,T)
        return [
            [(row.index(n), len(row) - row[::-1].index(n)) for n in range(max(row, default=-1) + 1)]
            for row in number
        ]

    def proposals(self, frames: Padded, most: int) -> list[list[Proposal]]:
        known = self.vocabulary.nonzero().squeeze(-1).tolist()
        found = [prefix_beam_search(row, most) for row in self._log_probabilities(frames).to("cpu").rows()]
        return [[Proposal([known[label - 1] for label in labels], p) for labels, p in row] for row in found]

    def _log_probabilities(self, frames: Padded) -> Padded:
        """Return those of the blank and of each class of the vocabulary (B,T,1+C)."""
        pooled = pool(self.config.pool, frames)
        rows = self._decoder[0].embeddings[self.vocabulary].to(frames.values.dtype)  # (C,H)
        logits = self._logits(pooled.values, rows)
        return pooled.holding(logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1))

    def _candidates(self, answer: Padded) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which tokens (V,) compete in the loss, and what is added to the logits of each (C,).

        With `negatives`, the answers' own tokens compete with a random sample of the others, whose logits
        are raised so that the sum over the sample estimates the sum over all of them.

        :raises DataError: an answer has a token outside the vocabulary. It has no class, and 0 is the blank.
        """
        spoken = torch.zeros_like(self.vocabulary)
        spoken[answer.values[answer.mask]] = True
        if (unknown := spoken & ~self.vocabulary).any():
            msg = (
                f"projector soft-ctc has no class for {self._named(unknown.nonzero().squeeze(-1).tolist())}, "
                "which training answers hold; give begin() or extend() all of them before the first step"
            )
            raise DataError(msg)
        others = (self.vocabulary & ~spoken).nonzero().squeeze(-1)
        sampled = self.config.negatives or len(others)
        if sampled >= len(others):
            return self.vocabulary, self.map.weight.new_zeros(int(self.vocabulary.sum()))
        order = torch.randperm(len(others), device=others.device)[:sampled]
        chosen = spoken.index_fill(0, others[order], value=True)
        raised = math.log(len(others) / sampled) * (~spoken[chosen])
        return chosen, raised.to(self.map.weight.dtype)

    def _tokens_of(self, answers: Iterable[list[int]]) -> torch.Tensor:
        """Return the vocabulary (V,) for these training answers, or all tokens where the settings say so."""
        if self.config.vocabulary == "all":
            return torch.ones_like(self.vocabulary)
        tokens = sorted({token for answer in answers for token in answer})
        vocabulary = torch.zeros_like(self.vocabulary)
        vocabulary[torch.tensor(tokens, dtype=torch.long)] = True
        return vocabulary

    def _named(self, tokens: list[int]) -> str:
        """Return the first tokens as text."""
        texts = [self._decoder[0].tokenizer.decode([token]).strip() for token in tokens[:NAMED]]
        return ", ".join([*texts, *(["…"] if tokens[NAMED:] else [])])

    def _logits(self, pooled: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        directions = F.normalize(torch.cat([self.blank[None], rows]), dim=-1)  # (1+C,H)
        cosines = F.normalize(self.map(pooled), dim=-1) @ directions.T  # (B,T,1+C)
        return self.log_scale.exp() * cosines + F.pad(self.blank_bias, (0, len(rows)))

    def _compress(self, logits: torch.Tensor, frames: Padded, rows: torch.Tensor) -> Padded:
        best, starts = _runs(frames.holding(logits))
        spoken = best != BLANK
        lengths = starts.sum(1)
        run = (starts.cumsum(1) - 1)[spoken]  # which token of its clip each spoken frame belongs to
        clip = spoken.nonzero()[:, 0]
        posteriors = (self.config.sharpness * logits[spoken][:, 1:]).softmax(-1)  # (N,C)
        mixtures = (posteriors.to(rows.dtype) @ rows).to(rows.dtype)  # (N,H)
        tokens = int(lengths.max())
        slot = clip * tokens + run
        sums = rows.new_zeros(len(lengths) * tokens, rows.shape[1]).index_add(0, slot, mixtures)
        counts = rows.new_zeros(len(lengths) * tokens).index_add(
            0, slot, torch.ones_like(slot, dtype=rows.dtype)
        )
        means = sums / counts.clamp_min(1)[:, None]
        return Padded(means.view(len(lengths), tokens, rows.shape[1]), lengths)


def _runs(logits: Padded) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the best class (B,T) of each frame, the blank for padding, and where a run begins (B,T)."""
    best = logits.values.argmax(-1).masked_fill(~logits.mask, BLANK)
    return best, (best != BLANK) & (best != F.pad(best, (1, 0), value=BLANK)[:, :-1])


def _ctc(logits: torch.Tensor, frames: Padded, answer: Padded) -> torch.Tensor:
    """Return the CTC loss summed over clips; an answer that its frames can't spell out counts as 0."""
    return F.ctc_loss(
        logits.float().log_softmax(-1).transpose(0, 1),
        answer.values,
        frames.host_lengths,
        answer.host_lengths,
        blank=BLANK,
        reduction="sum",
        zero_infinity=True,
    )
