"""The encoder network of FireRedASR-AED, under the names of its public checkpoints.

    log-mels (B,T,80) → two strided convolutions → (B,T/4,D) → macaron conformer blocks → (B,T/4,D)

Each block is ½ feed-forward → attention with relative positions → convolution → ½ feed-forward → layer
norm (Gulati et al. 2020; positions as in Transformer-XL, Dai et al. 2019). What is particular here: queries,
keys and values have a norm each, the convolution is 2D wide with a layer norm, and the front end is a dense
convolution without padding over three frames to each side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch
from attrs.validators import gt, instance_of, le
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.padded import Padded

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Filters of the front end's convolutions.
CHANNELS = 32
#: Frames of zeros behind each clip, so that its last frames have the context of the convolutions.
CONTEXT = 6
#: No conformer is near these; a file that claims more is not believed.
_LAYERS, _WIDTH = 1000, 1 << 16
_COUNT = [instance_of(int), gt(0)]


@attrs.frozen(kw_only=True)
class Shape:
    """The size of a network.

    :param bins: mel bins F of the features.
    :param width: D; a multiple of `heads`, and even.
    :param layers: blocks.
    :param heads: of attention.
    :param kernel: frames of the depthwise convolution, an odd number.
    """

    bins: int = attrs.field(default=80, validator=[instance_of(int), gt(6), le(_WIDTH)])
    width: int = attrs.field(default=1280, validator=[*_COUNT, le(_WIDTH)])
    layers: int = attrs.field(default=16, validator=[*_COUNT, le(_LAYERS)])
    heads: int = attrs.field(default=20, validator=[*_COUNT, le(_WIDTH)])
    kernel: int = attrs.field(default=33, validator=[*_COUNT, le(_WIDTH)])

    def __attrs_post_init__(self) -> None:
        """Check what the numbers must have in common."""
        if self.width % self.heads or self.width % 2 or self.kernel % 2 == 0:
            msg = f"no conformer has width {self.width}, {self.heads} heads and kernel {self.kernel}"
            raise ValueError(msg)


#: Of FireRedASR-AED-L: 710,543,968 parameters.
AED_L = Shape()


class Network(nn.Module):
    """The encoder, without any features or masks of its own.

    :param dropout: 0 where nothing is trained.
    """

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.input_preprocessor = Subsampling(shape)
        self.layer_stack = nn.ModuleList(Block(shape, dropout) for _ in range(shape.layers))

    def forward(self, features: Padded) -> Padded:
        """Turn normalised log-mels (B,T,F) into frames (B,⌈T/4⌉,D)."""
        frames: Padded = self.input_preprocessor(features)
        for block in self.blocks(frames):
            frames = frames.holding(block(frames.values))
        return frames

    def blocks(self, frames: Padded) -> Iterator[Bound]:
        """Yield each block as a function of the values (B,T,D) alone, for frames of these lengths."""
        positions = relative_positions(frames.values)
        for block in self.layer_stack:
            yield Bound(block, frames.mask, positions)


@attrs.frozen
class Bound:
    """A block with the mask (B,T) and the positions (2T-1,D) of a batch."""

    block: nn.Module
    mask: Tensor
    positions: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Return the block's output (B,T,D)."""
        found: Tensor = self.block(values, self.mask, self.positions)
        return found


def subsampled(length: int) -> int:
    """Return the frames that so many feature frames give: ⌈T/4⌉."""
    return -(-length // 4)


def filtered(shape: Shape) -> int:
    """Return the values of a frame behind the convolutions: 32 filters of a quarter of the mel bins."""
    return CHANNELS * (((shape.bins - 1) // 2 - 1) // 2)


class Subsampling(nn.Module):
    """Two convolutions over time and frequency, each with stride 2, then a linear map to D."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, CHANNELS, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2),
            nn.ReLU(),
        )
        self.out = nn.Linear(filtered(shape), shape.width)

    def forward(self, features: Padded) -> Padded:
        """Turn (B,T,F) into (B,⌈T/4⌉,D); what lies behind a clip's end counts as zeros."""
        values = F.pad(features.zeroed().values, (0, 0, 0, CONTEXT)).to(self.out.weight.dtype)
        maps = self.conv(values[:, None])  # (B,32,T',F')
        return Padded(self.out(maps.transpose(1, 2).flatten(2)), (features.host_lengths + 3) // 4)


def relative_positions(values: Tensor) -> Tensor:
    """Return sinusoids (2T-1,D) of the offsets T-1 … -(T-1) for values (B,T,D), in their dtype.

    Even columns are sines, odd ones cosines, with frequencies 10000^(-2k/D).
    """
    length, width = values.shape[1:]
    offsets = torch.arange(length - 1, -length, -1.0, device=values.device)
    powers = torch.arange(0.0, width, 2.0, device=values.device) / width
    angles = offsets[:, None] * 10000.0**-powers
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).to(values.dtype)


class Block(nn.Module):
    """A macaron conformer block."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.ffn1 = FeedForward(shape.width, dropout)
        self.mhsa = Attention(shape, dropout)
        self.conv = Convolution(shape, dropout)
        self.ffn2 = FeedForward(shape.width, dropout)
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, values: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """Map (B,T,D) to (B,T,D); frames outside the mask (B,T) are of no account to the others."""
        values = values + 0.5 * self.ffn1(values)
        values = values + self.mhsa(values, mask, positions)
        values = values + self.conv(values, mask)
        values = values + 0.5 * self.ffn2(values)
        found: Tensor = self.layer_norm(values)
        return found


class FeedForward(nn.Module):
    """Norm, then a hidden layer of width 4D."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Map (B,T,D) to (B,T,D)."""
        found: Tensor = self.net(values)
        return found


class Attention(nn.Module):
    """Self-attention with relative positions: (q_i+u)·k_j + (q_i+v)·W PE(i-j), over √(D/heads)."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        width, self.heads = shape.width, shape.heads
        self.layer_norm_q, self.layer_norm_k, self.layer_norm_v = (nn.LayerNorm(width) for _ in "qkv")
        self.w_qs, self.w_ks, self.w_vs, self.fc, self.linear_pos = (
            nn.Linear(width, width, bias=False) for _ in range(5)
        )
        self.pos_bias_u, self.pos_bias_v = (
            nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.heads, width // self.heads))) for _ in "uv"
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """Map (B,T,D) to (B,T,D), looking at the frames inside the mask (B,T) only."""
        query = self._by_head(self.w_qs(self.layer_norm_q(values)))
        key = self._by_head(self.w_ks(self.layer_norm_k(values)))
        value = self._by_head(self.w_vs(self.layer_norm_v(values)))
        place = self._by_head(self.linear_pos(positions)[None])  # (1,h,2T-1,d)
        by_offset = (query + self.pos_bias_v[:, None]) @ place.transpose(-1, -2)  # (B,h,T,2T-1)
        scores = _shifted(by_offset) * query.shape[-1] ** -0.5
        scores = scores.masked_fill(~mask[:, None, None], -torch.inf)
        heads = F.scaled_dot_product_attention(query + self.pos_bias_u[:, None], key, value, attn_mask=scores)
        found: Tensor = self.dropout(self.fc(heads.transpose(1, 2).flatten(2)))
        return found

    def _by_head(self, values: Tensor) -> Tensor:
        """Return (B,T,D) as (B,h,T,d)."""
        return values.view(*values.shape[:2], self.heads, -1).transpose(1, 2)


def _shifted(by_offset: Tensor) -> Tensor:
    """Return (…,T,T) by frame from (…,T,2T-1) by offset: column j of row i is that of the offset i-j.

    The offset i-j stands in column T-1-i+j, so each row begins one column earlier than the one above it:
    with a column of zeros in front, that is a matter of reading the rows at another width.
    """
    *rows, length, offsets = by_offset.shape
    wide = F.pad(by_offset, (1, 0)).flatten(-2)[..., length:]
    return wide.reshape(*rows, length, offsets)[..., :length]


class Convolution(nn.Module):
    """Norm, gated widening to 2D, depthwise convolution over time, norm, SiLU, back to D."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        width, wide = shape.width, 2 * shape.width
        self.pre_layer_norm = nn.LayerNorm(width)
        self.pointwise_conv1 = nn.Conv1d(width, 2 * wide, 1, bias=False)
        self.depthwise_conv = nn.Conv1d(
            wide, wide, shape.kernel, padding=shape.kernel // 2, groups=wide, bias=False
        )
        self.batch_norm = nn.LayerNorm(wide)  # the checkpoints' name for it
        self.pointwise_conv2 = nn.Conv1d(wide, width, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map (B,T,D) to (B,T,D) with zeros outside the mask (B,T)."""
        padding = ~mask[..., None]
        values = self.pre_layer_norm(values).masked_fill(padding, 0)
        wide = F.glu(_pointwise(self.pointwise_conv1, values), dim=-1)  # (B,T,2D)
        mixed = self.depthwise_conv(wide.transpose(1, 2)).transpose(1, 2)
        narrow = _pointwise(self.pointwise_conv2, F.silu(self.batch_norm(mixed)))
        found: Tensor = self.dropout(narrow).masked_fill(padding, 0)
        return found


def _pointwise(convolution: nn.Conv1d, values: Tensor) -> Tensor:
    """Apply a convolution of one frame as the linear map that it is."""
    return F.linear(values, convolution.weight[..., 0])
