"""The parts of a training step, and which of them computes."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.data.padded import Padded
from steermoe_core.model.encoder import untouched
from steermoe_core.model.recompute import again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch.nn import Module

    from steermoe_core.model.joined import Joined

#: Parts of a step. "loss" is what the joined model does around the others: rows put together, cross-entropy.
PARTS = ("encoder", "adapter", "projector", "decoder", "loss", "optimizer")
_TOWERS = ("encoder", "decoder")
#: Part of what is computed once in a run, or counted otherwise.
UNCOUNTED = "once"


class Parts:
    """Which part of the model computes: by calls in the forward pass, by autograd's nodes in the backward."""

    def __init__(self) -> None:
        self.positions: dict[str, tuple[int, int]] = {}
        self._calls = ["loss"]
        # Sequence numbers from which nodes belong to a part, and the tower that called it.
        self._starts, self._parts = [0], [("loss", "loss")]

    @property
    def now(self) -> tuple[str, bool]:
        """The part, and whether this is the backward pass."""
        node = torch._C._current_autograd_node()  # noqa: SLF001 - its only spelling
        if node is None:
            return self._calls[-1], False
        if len(self._calls) > 1:  # an adapter in a recomputed layer
            return self._calls[-1], True
        part, tower = self._parts[bisect_right(self._starts, node._sequence_nr()) - 1]  # noqa: SLF001
        return tower if again() else part, True

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """Count what is computed inside the block as a part's."""
        self._calls.append(part)
        self._cut()
        try:
            yield
        finally:
            self._calls.pop()
            self._cut()

    def _cut(self) -> None:
        self._starts.append(torch._C._autograd._get_sequence_nr())  # noqa: SLF001
        part = self._calls[-1]
        self._parts.append((part, next((one for one in self._calls if one in _TOWERS), part)))

    @contextmanager
    def marked(self, model: Joined) -> Iterator[None]:
        """Note inside the block which part is called, and what is padding in its input."""
        own: list[tuple[Module, str, str]] = [(model.encoder, "forward", "encoder")]
        own += [(model.encoder, "from_layer", "encoder"), (model.adapter, "tap", "adapter")]
        own += [(model.adapter, "after", "adapter"), (model.projector, "forward", "projector")]
        own += [(model.projector, "loss", "projector"), (model, "hidden", "decoder")]
        own += [(model.decoder, "embed", "decoder"), (model.decoder, "logits", "decoder")]
        own += [(model.decoder, "prefix", UNCOUNTED)]
        if model.decoder.tap is not untouched:
            own.append((model.decoder, "tap", "adapter"))
        before = [(module, name, vars(module).get(name)) for module, name, _ in own]
        for module, name, part in own:
            setattr(module, name, self._noted(getattr(module, name), part))
        try:
            yield
        finally:
            for module, name, value in before:
                delattr(module, name)
                if value is not None:
                    setattr(module, name, value)

    def _noted(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def noted(*args: Any, **named: Any) -> Any:
            given = next((one for one in args if isinstance(one, Padded)), None)
            if given is not None and part in _TOWERS and part not in self._calls:
                rows, longest = given.values.shape[:2]
                self.positions[part] = int(given.host_lengths.sum()), rows * longest
            with self.within(part):
                return function(*args, **named)

        return noted
