"""Routers that are wrong in one way each."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from steermoe_core.model.routers import Router, UtteranceRouter


class Right(Router):
    """A linear map a layer and a softmax."""

    caught_by = None

    def __init__(self, config, width, experts, layers):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(layers, experts, width) * width**-0.5)

    def forward(self, hidden, row):
        return self.logits(hidden, row).softmax(-1)

    def logits(self, hidden, row):
        """Return the map's output (B,T,E)."""
        return nn.functional.linear(hidden, self.weight[row])


class OneTooMany(Right):
    """Has a gate for nobody."""

    caught_by = "gates"

    def forward(self, hidden, row):
        return nn.functional.pad(super().forward(hidden, row), (0, 1))


class OverTime(Right):
    """Normalises over time: what is louder later takes gates away earlier."""

    caught_by = "own_frame"

    def forward(self, hidden, row):
        return self.logits(hidden, row).softmax(1)


class Shaken(Right):
    """Adds noise in eval mode too."""

    caught_by = "determinism"

    def logits(self, hidden, row):
        return super().logits(hidden + 0.1 * torch.randn_like(hidden), row)


class DropsGradient(Right):
    """Uses a detached copy of its weights."""

    caught_by = "gradients"

    def logits(self, hidden, row):
        return nn.functional.linear(hidden, self.weight[row].detach())


class Breaks(Right):
    """Divides by zero in training mode."""

    caught_by = "training"

    def forward(self, hidden, row):
        gates = super().forward(hidden, row)
        return gates / 0 if self.training else gates


class OwnChance(Right):
    """Draws its weights beside the seed."""

    caught_by = "same_start"

    def __init__(self, config, width, experts, layers):
        super().__init__(config, width, experts, layers)
        drawn = np.random.default_rng().normal(size=self.weight.shape)
        self.weight = nn.Parameter(torch.as_tensor(drawn, dtype=torch.float32))


class Forgets(Right):
    """Holds a tensor that is not saved."""

    caught_by = "state"

    def __init__(self, config, width, experts, layers):
        super().__init__(config, width, experts, layers)
        self.bias = torch.randn(layers, experts)

    def logits(self, hidden, row):
        return super().logits(hidden, row) + self.bias[row]


class NeedsNumbers(Right):
    """Looks at its weights while it is built."""

    caught_by = "plan"

    def __init__(self, config, width, experts, layers):
        super().__init__(config, width, experts, layers)
        assert float(self.weight.detach().abs().sum()) > 0


class RightUtterance(UtteranceRouter):
    """Softmax over a linear map of the mean frame: all frames of an utterance have the same gates."""

    caught_by = None

    def __init__(self, config, width, experts, layers):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(layers, experts, width) * width**-0.5)

    def of_utterances(self, frames, row):
        mean = self.mean(frames)  # (B,1,D)
        gates = nn.functional.linear(mean, self.weight[row]).softmax(-1)
        return gates.expand(-1, frames.values.shape[1], -1)

    def mean(self, frames):
        """Return the mean (B,1,D) of the valid frames."""
        return frames.zeroed().values.sum(1, keepdim=True) / frames.lengths[:, None, None]


class AveragesPadding(RightUtterance):
    """Takes the mean over padding as well."""

    caught_by = "own_frame"

    def mean(self, frames):
        return frames.values.mean(1, keepdim=True)
