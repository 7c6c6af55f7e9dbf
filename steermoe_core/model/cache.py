"""Key-value caches for training: for layers that run twice, and for rows that follow nothing."""

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


class Passing(DynamicCache):
    """Stores nothing: a layer attends to the keys and values that it computes.

    Without any cache, and without a mask, a model of transformers looks for sequences packed into one row,
    which waits for the device.
    """

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *args: Any, **named: Any) -> Any:
        """Return the keys and values of a layer as they are."""
        return key_states, value_states
