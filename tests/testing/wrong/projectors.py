"""Projectors that are wrong in one way each."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.model.config import PoolConfig
from steermoe_core.model.pooling import pool, pooled_length
from steermoe_core.model.projectors import Projector

HALF = PoolConfig(kernel=2)


class Right(Projector):
    """The mean of two frames, and a linear map."""

    caught_by = None

    def __init__(self, config, width, decoder):
        super().__init__()
        self.map = nn.Linear(width, decoder.width)

    def forward(self, frames, answer=None):
        pooled = pool(HALF, frames)
        return Padded(self.mapped(pooled), pooled.lengths), None

    def mapped(self, pooled):
        """Return the vectors (B,A,H) of pooled frames."""
        return self.map(pooled.values)

    def tokens(self, frames):
        return pooled_length(HALF, frames)


class SaysPooling(Right):
    """Looks at the frames before they are pooled."""

    caught_by = "pooling"
    pooling = HALF

    def forward(self, frames, answer=None):
        pooled = pool(HALF, type(frames)(frames.values.square(), frames.lengths))
        return Padded(self.mapped(pooled), pooled.lengths), None


class Backwards(Right):
    """Says that the first audio token is heard last."""

    caught_by = "spans"

    def spans(self, frames, audio):
        return [spans[::-1] for spans in super().spans(frames, audio)]


class Narrow(Right):
    """Maps to another width than the language model's."""

    caught_by = "width"

    def mapped(self, pooled):
        return super().mapped(pooled)[..., :-1]


class TooFew(Right):
    """Forgets the last window that is not full."""

    caught_by = "tokens_law"

    def tokens(self, frames):
        return frames // 2


class TooMany(Right):
    """Says one more than there ever is."""

    caught_by = "tokens_law"

    def tokens(self, frames):
        return super().tokens(frames) + 1


class HearsPadding(Right):
    """Takes a mean over time, padding included."""

    caught_by = "padding_invariance"

    def mapped(self, pooled):
        return super().mapped(pooled) + pooled.values.mean((1, 2), keepdim=True)


class HearsOthers(Right):
    """Takes a mean over all real tokens of the batch."""

    caught_by = "batch_invariance"

    def mapped(self, pooled):
        return super().mapped(pooled) + pooled.values[pooled.mask].mean()


class Noisy(Right):
    """Adds noise in eval mode too."""

    caught_by = "determinism"

    def mapped(self, pooled):
        return super().mapped(pooled) + 0.1 * torch.randn(1)


class Forgotten(Right):
    """Leaves its bias out of its groups."""

    caught_by = "groups"

    def groups(self):
        return {"projector": [self.map.weight]}


class Detached(Right):
    """Lets no gradient through to the adapter."""

    caught_by = "gradients"

    def mapped(self, pooled):
        return self.map(pooled.values.detach())


class NoLoss(Right):
    """Wants to start on a loss that it does not have."""

    caught_by = "own_loss"
    start_steps = 10


class OtherLoss(Right):
    """Has another loss beside the language model than alone."""

    caught_by = "own_loss"

    def forward(self, frames, answer=None):
        audio, _ = super().forward(frames)
        return audio, None if answer is None else 2 * self.loss(frames, answer)

    def loss(self, frames, answer):
        return self.mapped(frames).square().sum()


class WithLoss(Right):
    """Adds the size of its audio tokens to the loss."""

    caught_by = None
    name = "size"

    def __init__(self, config, width, decoder):
        super().__init__(config, width, decoder)
        self.added = {}

    def forward(self, frames, answer=None):
        audio, own = super().forward(frames)
        self.added = {} if answer is None else {self.name: self.size(audio)}
        return audio, own

    def size(self, audio):
        """Return the loss."""
        return audio.zeroed().values.square().mean()

    def losses(self):
        added, self.added = self.added, {}
        return added


class Shouts(WithLoss):
    """Gives its loss a name that is none."""

    caught_by = "losses"
    name = "My Loss"


class Spreads(WithLoss):
    """Has a number for each clip."""

    caught_by = "losses"

    def size(self, audio):
        return audio.zeroed().values.square().mean((1, 2))


class Learns(WithLoss):
    """Has a loss that trains nothing."""

    caught_by = "losses"

    def size(self, audio):
        return super().size(audio).detach()


class Insists(WithLoss):
    """Returns the losses of a pass again and again."""

    caught_by = "losses"

    def losses(self):
        return self.added


class Explodes(Right):
    """Solves for weights that are not finite."""

    caught_by = "begin"

    def begin(self, answers, pairs):
        with torch.no_grad():
            self.map.weight.mul_(torch.inf)


class SleepsIn(Right):
    """Asks for batches that it does not look at."""

    caught_by = "begin"
    begin_batches = 3

    def begin(self, answers, pairs):
        next(iter(pairs))


class StartsOver(Right):
    """Forgets what an adapter has learned when other data comes."""

    caught_by = "extend"

    def extend(self, answers):
        nn.init.zeros_(self.map.bias)


class Grows(Right):
    """Saves a longer tensor when other data comes."""

    caught_by = "extend"

    def __init__(self, config, width, decoder):
        super().__init__(config, width, decoder)
        self.register_buffer("seen", torch.zeros(1))

    def extend(self, answers):
        self.seen = torch.zeros(2)


class Closed(Right):
    """Has a class for each token of its first answers, and for no other."""

    caught_by = "extend"

    def __init__(self, config, width, decoder):
        super().__init__(config, width, decoder)
        self.register_buffer("known", torch.ones(len(decoder.embeddings), dtype=torch.bool))

    def begin(self, answers, pairs):
        self.known.zero_()
        self.known[[token for answer in answers for token in answer]] = True

    def loss(self, frames, answer):
        classes = {int(token): number for number, token in enumerate(self.known.nonzero())}
        assert all(token in classes for row in answer.rows() for token in row.tolist())
        return self.mapped(frames).square().sum()

    def forward(self, frames, answer=None):
        return super().forward(frames)[0], None if answer is None else self.loss(frames, answer)


class OwnChance(Right):
    """Draws its weights beside the seed."""

    caught_by = "same_start"

    def __init__(self, config, width, decoder):
        super().__init__(config, width, decoder)
        drawn = np.random.default_rng().normal(size=self.map.bias.shape)
        self.map.bias = nn.Parameter(torch.as_tensor(drawn, dtype=torch.float32))


class Forgets(Right):
    """Holds a tensor that is not saved."""

    caught_by = "state"

    def __init__(self, config, width, decoder):
        super().__init__(config, width, decoder)
        self.shift = torch.randn(decoder.width)

    def mapped(self, pooled):
        return super().mapped(pooled) + self.shift


class NeedsNumbers(Right):
    """Looks at its weights while it is built."""

    caught_by = "plan"

    def __init__(self, config, width, decoder):
        super().__init__(config, width, decoder)
        self.size = float(self.map.weight.detach().norm())
