"""Settings of the projectors; cheap to import."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, le, lt

from steermoe_core import PoolConfig, Selection, choose


@attrs.frozen(kw_only=True)
class WindowQFormerConfig:
    """Trained queries read each window of frames by cross-attention, as in SALMONN (arXiv 2310.13289).

    Every window becomes `queries` audio tokens, so that their number grows with the clip.

    :param window: frames in a window; the last window of a clip may be partly filled.
    :param queries: audio tokens for each window.
    :param layers: attention layers.
    :param width: of queries and layers; a multiple of `heads`.
    :param heads: attention heads.
    :param dropout: share of activations that a training pass drops.
    """

    window: int = attrs.field(default=17, validator=[gt(0), le(10_000)])
    queries: int = attrs.field(default=1, validator=[gt(0), le(10_000)])
    layers: int = attrs.field(default=2, validator=[gt(0), le(100)])
    width: int = attrs.field(default=256, validator=[gt(0), le(1_000_000)])
    heads: int = attrs.field(default=4, validator=[gt(0), le(10_000)])
    dropout: float = attrs.field(default=0.1, validator=[ge(0.0), lt(1.0)])

    def __attrs_post_init__(self) -> None:
        """Refuse a width that the heads cannot share."""
        if self.width % self.heads:
            msg = f"width is {self.width}, not a multiple of heads, which is {self.heads}"
            raise ValueError(msg)


@attrs.frozen(kw_only=True)
class ConvConfig:
    """Strided convolutions over time, each with a norm and a GELU, then a linear map.

    A clip of n frames becomes n / stride audio tokens, rounded up, once for each layer.

    :param layers: convolutions.
    :param kernel: frames that a convolution reads at once; odd, and at least `stride`.
    :param stride: frames from one output of a convolution to the next.
    :param channels: width between the convolutions; 0 takes that of the frames.
    """

    layers: int = attrs.field(default=2, validator=[gt(0), le(100)])
    kernel: int = attrs.field(default=3, validator=[gt(0), le(10_001)])
    stride: int = attrs.field(default=2, validator=[gt(0), le(10_000)])
    channels: int = attrs.field(default=0, validator=[ge(0), le(1_000_000)])

    def __attrs_post_init__(self) -> None:
        """Refuse a kernel that has no middle, or that leaves frames out."""
        if self.kernel % 2 == 0:
            msg = f"kernel is {self.kernel}; take an odd number, so that it has a middle"
            raise ValueError(msg)
        if self.kernel < self.stride:
            msg = f"kernel is {self.kernel} and stride {self.stride}, so that frames between are never read"
            raise ValueError(msg)


@attrs.frozen(kw_only=True)
class MixtureConfig:
    """Small adapters (linear, GELU, linear), mixed for each frame by a softmax router.

    It is MOSA (arXiv 2508.18998) with a load-balance loss: KL(mean gate ‖ uniform) over valid frames,
    `mixture-balance` in metrics.jsonl.

    :param pool: time pooling before the adapters.
    :param experts: adapters.
    :param hidden: width inside each adapter.
    :param balance: weight of the load-balance loss.
    """

    pool: PoolConfig = attrs.field(factory=PoolConfig)
    experts: int = attrs.field(default=4, validator=[gt(1), le(10_000)])
    hidden: int = attrs.field(default=256, validator=[gt(0), le(1_000_000)])
    balance: float = attrs.field(default=0.01, validator=[ge(0.0), le(1_000.0)])


@attrs.frozen(kw_only=True)
class CifConfig:
    """Continuous integrate-and-fire (arXiv 1905.11235): about one audio token for each text token.

    Each frame gets a weight between 0 and 1. Weights are summed over time, and every full 1 ends an audio
    token, the weighted mean of its frames. In training, the weights of a clip are scaled to sum to the tokens
    of its answer. The quantity loss, `quantity` in metrics.jsonl, trains them to need no scaling.

    :param pool: time pooling before the weights.
    :param kernel: frames that the weight of a frame depends on; odd.
    :param quantity: weight of the quantity loss: the difference in audio tokens for each answer token.
    """

    pool: PoolConfig = attrs.field(factory=lambda: PoolConfig(kind="none"))
    kernel: int = attrs.field(default=3, validator=[gt(0), le(10_001)])
    quantity: float = attrs.field(default=1.0, validator=[ge(0.0), le(1_000.0)])

    def __attrs_post_init__(self) -> None:
        """Refuse a kernel that has no middle."""
        if self.kernel % 2 == 0:
            msg = f"kernel is {self.kernel}; take an odd number, so that it has a middle"
            raise ValueError(msg)


@attrs.frozen(kw_only=True)
class RecurrentConfig:
    """Bidirectional GRU layers before another projector, which sees frames + what the layers add.

    :param pool: time pooling before the layers; stacking multiplies the width by its kernel.
    :param layers: GRU layers.
    :param width: of each direction of a layer.
    :param dropout: share of each layer's output that a training pass drops.
    :param mask: share of the frames that a training pass replaces by zeros, in spans.
    :param span: frames in such a span.
    :param head: the projector after the layers, with its own loss and pooling.
    """

    pool: PoolConfig = attrs.field(factory=lambda: PoolConfig(kind="none"))
    layers: int = attrs.field(default=2, validator=[gt(0), le(100)])
    width: int = attrs.field(default=320, validator=[gt(0), le(1_000_000)])
    dropout: float = attrs.field(default=0.2, validator=[ge(0.0), lt(1.0)])
    mask: float = attrs.field(default=0.1, validator=[ge(0.0), lt(1.0)])
    span: int = attrs.field(default=8, validator=[gt(0), le(10_000)])
    head: Selection = choose("projector", default="soft-ctc")
