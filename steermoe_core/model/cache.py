"""A key-value cache for layers that run twice."""

from __future__ import annotations

from typing import Any

from transformers import DynamicCache


class Unchanging(DynamicCache):
    """Returns the cached prefix followed by the new keys and values, and does not store the new ones.

    So a layer that is computed again in the backward pass sees the same cache as the first time.
    """

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *args: Any, **named: Any) -> Any:
        """Return the keys and values that a layer attends to, each (B,heads,P+S,d)."""
        layer = self.layers[layer_idx]
        before = vars(layer).copy()
        extended = super().update(key_states, value_states, layer_idx, *args, **named)
        vars(layer).update(before)
        return extended
