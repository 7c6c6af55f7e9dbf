"""Adapters that are wrong in one way each."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.model.adapter import Adapter
from steermoe_core.model.recompute import again


class Right(Adapter):
    """A vector for each layer, added to every frame."""

    caught_by = None
    first_layer = 0

    def __init__(self, config, encoder, build):
        super().__init__()
        self.encoder = (encoder,)  # not a part of this module
        self.vectors = nn.Parameter(0.1 * torch.randn(encoder.layers, encoder.width))
        self.seen = None

    def tap(self, layer, frames):
        if self.seen is not None and not self.twice():
            self.seen[layer] = self.seen.get(layer, 0) + int(frames.lengths.sum())
        return Padded(frames.values + self.shift(layer).to(frames.values.dtype), frames.lengths)

    def shift(self, layer):
        """Return what is added to a layer's frames."""
        return self.vectors[layer]

    def twice(self):
        """Tell whether this is a repetition."""
        return again()

    def groups(self):
        return {"steering": [self.vectors]}

    def watch(self):
        self.seen = {}

    def statistics(self):
        seen, self.seen = self.seen, None
        return [self.record(layer, frames) for layer, frames in (seen or {}).items()]

    def record(self, layer, frames):
        """Return a layer's record."""
        return {"layer": layer, "frames": frames, "load": [1.0]}


class Forgotten(Right):
    """Leaves a trainable tensor out of its groups."""

    caught_by = "groups"

    def __init__(self, config, encoder, build):
        super().__init__(config, encoder, build)
        self.more = nn.Parameter(torch.zeros(encoder.width))

    def after(self, frames):
        return Padded(frames.values + self.more.to(frames.values.dtype), frames.lengths)


class NoRate(Right):
    """Calls its group by a name that its record does not declare."""

    caught_by = "groups"

    def groups(self):
        return {"vectors": [self.vectors]}


class Promotes(Right):
    """Turns frames in half precision into fp32."""

    caught_by = "lengths"

    def tap(self, layer, frames):
        return Padded(frames.values + self.vectors[layer], frames.lengths)

    def statistics(self):
        return []


class HearsPadding(Right):
    """Takes a mean over time, padding included."""

    caught_by = "padding_invariance"

    def after(self, frames):
        return Padded(frames.values + frames.values.mean(1, keepdim=True), frames.lengths)


class HearsOthers(Right):
    """Takes a mean over all real frames of the batch."""

    caught_by = "batch_invariance"

    def after(self, frames):
        return Padded(frames.values + frames.values[frames.mask].mean(0), frames.lengths)


class Noisy(Right):
    """Adds noise in eval mode too."""

    caught_by = "determinism"

    def after(self, frames):
        return Padded(frames.values + 0.1 * torch.randn_like(frames.values), frames.lengths)


class Deaf(Right):
    """Uses a detached copy of what it trains at the last layer, and of all the others too."""

    caught_by = "gradients"

    def shift(self, layer):
        return self.vectors[layer].detach() + 0.0 * self.vectors.sum()


class TooLate(Right):
    """Says that it leaves the first layer alone, and does not."""

    caught_by = "first_layer"
    first_layer = 1


class Thief(Right):
    """Writes into the frozen encoder while it trains."""

    caught_by = "frozen_encoder"

    def after(self, frames):
        if torch.is_grad_enabled():
            self.encoder[0].first.weight.data.mul_(1.01)
        return frames


class CountsTwice(Right):
    """Counts what is computed again."""

    caught_by = "recompute"

    def shift(self, layer):
        return self.vectors[layer].tanh()

    def tap(self, layer, frames):
        moved = super().tap(layer, frames)
        return Padded(moved.values * self.vectors[layer].cosh().to(moved.values.dtype), moved.lengths)

    def twice(self):
        return False


class Repeats(Right):
    """Returns its penalty again and again."""

    caught_by = "losses"

    def penalty(self):
        return self.vectors.square().mean()


class Tensors(Right):
    """Gives tensors where JSON is wanted."""

    caught_by = "statistics"

    def record(self, layer, frames):
        return {"layer": layer, "norm": self.vectors[layer].norm()}


class NoGates(Right):
    """Says that it gives gates, and tells of none."""

    caught_by = "statistics"
    gives = ("gates",)

    def record(self, layer, frames):
        return {"layer": layer}


class StartsAnew(Right):
    """Forgets what it has learned where it should take in new data."""

    caught_by = "extend"

    def extend(self, answers):
        self.vectors.data.zero_()


class OwnChance(Right):
    """Draws its vectors beside the seed."""

    caught_by = "same_start"

    def __init__(self, config, encoder, build):
        super().__init__(config, encoder, build)
        drawn = np.random.default_rng().normal(size=self.vectors.shape)
        self.vectors = nn.Parameter(torch.as_tensor(drawn, dtype=torch.float32))


class Forgets(Right):
    """Holds a tensor that is not saved."""

    caught_by = "state"

    def __init__(self, config, encoder, build):
        super().__init__(config, encoder, build)
        self.fixed = torch.randn(encoder.width)

    def shift(self, layer):
        return self.vectors[layer] + self.fixed


class NeedsNumbers(Right):
    """Looks at its tensors while it is built."""

    caught_by = "plan"

    def __init__(self, config, encoder, build):
        super().__init__(config, encoder, build)
        self.size = float(self.vectors.detach().norm())
