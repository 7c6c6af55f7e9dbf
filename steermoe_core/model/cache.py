"""Key-value caches: for layers that run twice, for rows that follow nothing, and for generation."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

#: Columns that a growing cache allocates ahead.
AHEAD = 64


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


class Preceding(NamedTuple):
    """The keys and values (B,heads,P,d) of one layer that a prefix has left, for a compiled layer.

    Code that sees a whole cache holds for the layer that it was compiled for, and for no other.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **named: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the keys and values that the layer attends to, each (B,heads,P+S,d)."""
        return torch.cat([self.keys, key_states], 2), torch.cat([self.values, value_states], 2)


def preceding(cache: Any, layer: int) -> Any:
    """Return what a layer needs of a cache in training; the cache itself where it has windows or states."""
    if cache is None or isinstance(cache, Passing):
        return None
    own = cache.layers[layer] if layer < len(cache.layers) else None
    if type(own) is not DynamicLayer or own.keys is None or own.values is None:
        return cache
    return Preceding(own.keys, own.values)


class Growing(DynamicLayer):
    """Keeps all keys and values, also of a layer with a window, and writes new ones into spare columns.

    transformers' own layer copies everything for each new token.
    """

    is_compileable = True  # transformers then makes the mask of a single token without waiting for the device
    _room: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **named: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add keys and values (B,heads,S,d); return all, each (B,heads,C+S,d)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used = self.get_seq_length()
        end = used + key_states.shape[2]
        keys, values = self._room
        self._room = keys, values = _written(keys, used, key_states), _written(values, used, value_states)
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values


def _written(room: torch.Tensor | None, used: int, new: torch.Tensor) -> torch.Tensor:
    """Return a room with new columns behind the used ones; a larger one where they do not fit."""
    end = used + new.shape[2]
    if room is None or end > room.shape[2]:
        larger = new.new_empty(*new.shape[:2], end + AHEAD, new.shape[3])
        if room is not None:
            larger[:, :, :used] = room[:, :, :used]
        room = larger
    room[:, :, used:end] = new
    return room


def growing(rows: list[tuple[torch.Tensor, torch.Tensor]]) -> Cache:
    """Return a cache that begins with keys and values (B,heads,P,d) of each layer."""
    cache = Cache(layer_class_to_replicate=Growing)
    for number, (keys, values) in enumerate(rows):
        cache.update(keys, values, number)
    return cache
