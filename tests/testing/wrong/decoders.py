"""Language models that are wrong in one way each."""

from __future__ import annotations

import torch

from steermoe_core.model.config import CausalLMConfig
from steermoe_core.model.decoder import CausalLM


class Right(CausalLM):
    """A tiny Llama."""

    caught_by = None

    def __init__(self, config):
        super().__init__(CausalLMConfig(weights=config.weights))


class Wide(Right):
    """Says another width than that of its embeddings."""

    caught_by = "declares"

    def __init__(self, config):
        super().__init__(config)
        self.width += 1


class Speechless(Right):
    """Has no logits for the last word."""

    caught_by = "shapes"

    def logits(self, hidden):
        return super().logits(hidden)[..., :-1]


class LeftOn(Right):
    """Leaves a parameter trainable."""

    caught_by = "frozen"

    def __init__(self, config):
        super().__init__(config)
        next(self.model.parameters()).requires_grad_(True)


class Prophet(Right):
    """Hears what comes after."""

    caught_by = "causal"

    def hidden(self, embeds, mask, positions, cache):
        found = super().hidden(embeds, mask, positions, cache)
        return found + found.mean(1, keepdim=True)


class Gossip(Right):
    """Hears the other rows."""

    caught_by = "padding_invariance"

    def hidden(self, embeds, mask, positions, cache):
        found = super().hidden(embeds, mask, positions, cache)
        return found + found.mean(0, keepdim=True)


class Mixer(Right):
    """Exchanges rows where they are right-padded."""

    caught_by = "right_padded"

    def right_padded(self, rows, before, cache):
        return super().right_padded(rows, before, cache).flip(0)


class LosesCount(Right):
    """Begins to count anew behind a prefix."""

    caught_by = "prefix"

    def hidden(self, embeds, mask, positions, cache):
        return super().hidden(embeds, mask, positions - positions[:, :1], cache)


class Crowd(Right):
    """Says that it packs rows, and lets them hear each other."""

    caught_by = "packing"
    gives = ("layer-taps", "packing")

    def packed(self, inputs, prefix):
        found = super().packed(inputs, prefix)
        return found + found.mean(0, keepdim=True)


class Stone(Right):
    """Lets no gradient through."""

    caught_by = "gradients"

    @torch.no_grad()
    def hidden(self, embeds, mask, positions, cache):
        return super().hidden(embeds, mask, positions, cache)

    def logits(self, hidden):
        return super().logits(hidden) + 0.0 * hidden.new_zeros((), requires_grad=True)


class NeedsNumbers(Right):
    """Looks at its weights while it is built."""

    caught_by = "plan"

    def __init__(self, config):
        super().__init__(config)
        self.size = float(self.embeddings.norm())
