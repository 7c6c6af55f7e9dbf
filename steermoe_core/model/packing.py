"""The clips of a batch in one row: no padding is computed, and each clip attends to itself alone.

    padded   [ a a a a ]        packed   [ a a a a b b c c c ]
             [ b b . . ]        steps      0 1 2 3 0 1 0 1 2
             [ c c c . ]

Whatever treats positions one by one (linear maps, norms, rotations by position ids) takes the row as it is.
Attention takes it clip by clip: by `torch.nn.attention.varlen` where the GPU has a kernel for that, elsewhere
by one call a clip, without a mask. Positions before the row (a key-value prefix) belong to every clip.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor
from torch.backends.cuda import SDPAParams, can_use_flash_attention
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.padded import Padded
from steermoe_core.errors import SetupError
from steermoe_core.model.encoder import untouched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steermoe_core.model.encoder import Tap

#: Name of `attend` among the attention functions of transformers.
ATTENTION = "steermoe-packed"
#: Of the pass that is computed.
_PACKING: ContextVar[Packing] = ContextVar("packing")


@attrs.define(eq=False)
class Packing:
    """Where the clips of a batch are in their row of N positions.

    An encoder from transformers whose `packing` is true computes its layers on `row(frames)`: it passes
    ``attending(layer, config)`` and `tap(tap)` to its method `layer`, and turns the last row into `clips`.

    :param lengths: of the B clips.
    :param width: positions S of each with its padding.
    :param bare: (B,0), the clips without values.
    :param bounds: (B+1,) int32, where each clip begins and the last one ends.
    :param steps: (1,N), the position of each in its own clip.
    :param places: (N,), the place of each among the B·S padded ones.
    :param attended: how many attention functions went clip by clip so far.
    """

    lengths: list[int]
    width: int
    bare: Padded
    bounds: Tensor
    steps: Tensor
    places: Tensor
    attended: int = 0

    @classmethod
    def of(cls, clips: Padded) -> Packing:
        """Return the packing of a batch."""
        lengths, width, device = clips.host_lengths.tolist(), clips.values.shape[1], clips.values.device
        bounds = F.pad(clips.lengths.cumsum(0), (1, 0))  # (B+1,)
        numbers = torch.arange(len(lengths), device=device)
        clip = numbers.repeat_interleave(clips.lengths, output_size=sum(lengths))  # (N,)
        steps = torch.arange(sum(lengths), device=device) - bounds[clip]  # (N,)
        return cls(lengths, width, clips.bare(), bounds.int(), steps[None], clip * width + steps)

    def row(self, clips: Padded) -> Padded:
        """Return padded clips (B,S,…) as one row (1,N,…)."""
        values = clips.values.flatten(0, 1).index_select(0, self.places)[None]
        return Padded(values, torch.tensor([sum(self.lengths)], device="cpu"))

    def clips(self, row: Padded) -> Padded:
        """Return one row (1,N,…) as clips (B,S,…), padded with zeros."""
        values, count = row.values[0], len(self.lengths)
        padded = values.new_zeros(count * self.width, *values.shape[1:]).index_copy(0, self.places, values)
        return self.bare.holding(padded.view(count, self.width, *values.shape[1:]))

    def tap(self, tap: Tap) -> Tap:
        """Return a tap for the row that calls a tap for the clips."""
        if tap is untouched:
            return untouched
        return lambda layer, row: self.row(tap(layer, self.clips(row)))

    def behind(self, row: Tensor) -> list[Tensor]:
        """Return keys or values (1,heads,P+N,d) by clip, each (1,heads,P+S_b,d) with the P before the row."""
        before = row.shape[2] - sum(self.lengths)
        own = torch.split(row[:, :, before:], self.lengths, dim=2)
        return [torch.cat([row[:, :, :before], one], dim=2) for one in own] if before else list(own)

    @contextmanager
    def attention(self, config: Any) -> Iterator[None]:
        """Let the attention of a transformers model go clip by clip inside the block.

        :param config: of the model. It makes no masks then: `ATTENTION` has no function for them.
        """
        token = _PACKING.set(self)
        try:
            with attention_by(ATTENTION, attend, config):
                yield
        finally:
            _PACKING.reset(token)

    def attending(self, layer: Callable[..., Any], config: Any) -> Callable[..., Any]:
        """Return a layer of a transformers model whose attention goes clip by clip, in any pass."""

        def attending(*args: Any, **named: Any) -> Any:
            with self.attention(config):
                return layer(*args, **named)

        return attending


@contextmanager
def attention_by(name: str, attend: Callable[..., Any], config: Any) -> Iterator[None]:
    """Let a transformers model compute its attention by a function of our own inside the block.

    :param name: of the function among those of transformers.
    :param config: of the model.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(name, attend)
    usual = config._attn_implementation  # noqa: SLF001 - its only spelling
    config._attn_implementation = name  # noqa: SLF001
    try:
        yield
    finally:
        config._attn_implementation = usual  # noqa: SLF001


def packable(model: Any) -> bool:
    """Return whether positions of a transformers model see each other through `attend` alone."""
    kinds = set(getattr(model.get_decoder().config, "layer_types", None) or ())
    stateless = model.is_backend_compatible() and not model._is_stateful  # noqa: SLF001 - its only spelling
    return stateless and kinds <= {"full_attention", "sliding_attention"}


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,  # noqa: ARG001 - the signature of transformers
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Return the attention (1,N,heads,d) of a row's queries (1,heads,N,d), each to its own clip.

    :param key: (1,heads,P+N,d), as `value`.
    :raises SetupError: the attention has more to it than causality and windows into the past.
    """
    packing = _PACKING.get()
    causal: bool = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if more.get("position_bias") is not None or (sliding_window and not causal):
        msg = f"{type(module).__name__} has position biases or windows that train.packing does not know"
        raise SetupError(msg)
    packing.attended += 1
    kernel = _kernel(query, key, value)
    if kernel is not None:
        return _by_kernel(kernel, packing, query, key, value, scaling, sliding_window, causal)[None], None
    from transformers import AttentionInterface

    attention, found = AttentionInterface()["sdpa"], []
    clips = zip(
        torch.split(query, packing.lengths, dim=2), packing.behind(key), packing.behind(value), strict=True
    )
    for q, k, v in clips:
        mask = visible(q, k, sliding_window) if causal else None
        one, _ = attention(module, q, k, v, mask, dropout=dropout, scaling=scaling, is_causal=causal)
        found.append(one)  # (1,S_b,heads,d)
    return torch.cat(found, dim=1), None


def _kernel(query: Tensor, key: Tensor, value: Tensor) -> Callable[..., Any] | None:
    """Return torch's kernel for clips in a row; None without a GPU, half precision or a fitting head size."""
    if not query.is_cuda:
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:  # torch before 2.10
        return None
    grouped = query.shape[1] != key.shape[1]
    fits = can_use_flash_attention(SDPAParams(query, key, value, None, 0.0, False, grouped))
    return varlen_attn if fits else None


def _by_kernel(
    kernel: Callable[..., Tensor],
    packing: Packing,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    window: int | None,
    causal: bool,  # noqa: FBT001
) -> Tensor:
    """Return the attention (N,heads,d) of all clips, from a kernel in which queries and keys end together."""
    before = key.shape[2] - query.shape[2]
    if before:
        key, value = (torch.cat(packing.behind(row), dim=2) for row in (key, value))
    bounds, longest = packing.bounds, max(packing.lengths)
    prefixes = before * torch.arange(len(bounds), dtype=bounds.dtype, device=bounds.device)
    found: Tensor = kernel(
        *(row[0].transpose(0, 1) for row in (query, key, value)),  # (positions,heads,d)
        bounds,
        bounds + prefixes,
        longest,
        before + longest,
        scale=scaling,
        window_size=(window - 1 if window else -1, 0 if causal else -1),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return found


def visible(query: Tensor, key: Tensor, window: int | None) -> Tensor | None:
    """Return which keys each query sees (S,P+S); None where plain causality says it."""
    queries, keys = query.shape[2], key.shape[2]
    if queries == keys and (not window or keys <= window):
        return None
    places = torch.arange(keys, device=key.device)
    back = places[keys - queries :, None] - places  # (S,P+S), how far behind the query a key is
    return (back >= 0) & (back < (window or keys))
