"""What the last positions of a row attend to, recorded while a transformers model computes it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.model.packing import attention_by, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

#: Name of `attend` among the attention functions of transformers.
ATTENTION = "steermoe-recorded"
#: Of the pass that is computed.
_RECORD: ContextVar[Record] = ContextVar("record")


@attrs.define(eq=False)
class Record:
    """The attention of the last positions of one row.

    :param last: number of these positions.
    :param keys: positions of the row whose weights are kept, counted from its end: all negative.
    :param layers: (heads,last,keys) of each layer so far, in fp32.
    """

    last: int
    keys: range
    layers: list[Tensor] = attrs.field(factory=list)

    def add(self, query: Tensor, key: Tensor, seen: Tensor | None, scaling: float | None) -> None:
        """Keep the weights of a layer, from its queries (1,heads,S,d) and keys (1,groups,C+S,d).

        :param seen: (S,C+S), which keys each query attends to; None for those up to itself.
        """
        count, width = key.shape[2], query.shape[3]
        keys = key[0].repeat_interleave(query.shape[1] // key.shape[1], dim=0)  # (heads,C+S,d)
        scores = query[0, :, -self.last :].float() @ keys.float().transpose(1, 2)  # (heads,last,C+S)
        if seen is None:
            seen = torch.ones(count, count, dtype=torch.bool, device=key.device).tril()
        scores = (scores * (scaling or width**-0.5)).masked_fill(~seen[-self.last :], -torch.inf)
        self.layers.append(scores.softmax(-1)[..., count + self.keys.start : count + self.keys.stop])


@contextmanager
def recording(config: Any, record: Record) -> Iterator[None]:
    """Record the attention of a transformers model inside the block, in passes of one row without padding.

    :param config: of the model. It makes no masks then: `ATTENTION` has no function for them.
    """
    token = _RECORD.set(record)
    try:
        with attention_by(ATTENTION, attend, config):
            yield
    finally:
        _RECORD.reset(token)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,  # noqa: ARG001 - the signature of transformers
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Return what transformers' SDPA attention returns, and record the weights, which it does not give."""
    from transformers import AttentionInterface

    seen = visible(query, key, sliding_window)
    _RECORD.get().add(query, key, seen, scaling)
    output, _ = AttentionInterface()["sdpa"](module, query, key, value, seen, scaling=scaling, **more)
    return output, None
