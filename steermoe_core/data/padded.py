"""A batch of rows of unequal length, padded to the longest: values together with their lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self


@dataclass(frozen=True, eq=False)
class Padded:
    """Rows of unequal length in one tensor.

    :param values: (B,T,…); row b is real in its first `lengths[b]` positions, the rest is padding of any
        value.
    :param lengths: (B,) int64, on the same device.
    :raises ValueError: when the two do not fit together.
    """

    values: Tensor
    lengths: Tensor

    def __post_init__(self) -> None:
        """Check shapes and types only: comparing lengths with T would wait for the accelerator."""
        if self.values.ndim < 2 or self.lengths.shape != self.values.shape[:1]:  # noqa: PLR2004  # B and T
            msg = f"lengths {tuple(self.lengths.shape)} do not fit values {tuple(self.values.shape)}"
            raise ValueError(msg)
        if self.lengths.dtype != torch.int64:
            msg = f"lengths must be int64, not {self.lengths.dtype}"
            raise ValueError(msg)

    @classmethod
    def stack(cls, rows: Sequence[Tensor], fill: float = 0) -> Self:
        """Pad rows of shape (T_b,…) at their ends with `fill`.

        :raises ValueError: when there is no row, or rows differ in more than their length.
        """
        if not rows:
            msg = "there is no row to stack"
            raise ValueError(msg)
        if any(row.shape[1:] != rows[0].shape[1:] for row in rows):
            msg = f"rows of shapes {[tuple(row.shape) for row in rows]} differ in more than their length"
            raise ValueError(msg)
        values = pad_sequence(list(rows), batch_first=True, padding_value=fill)  # (B,T,…), gradients flow
        return cls(values, torch.tensor([len(row) for row in rows], device=values.device))

    @property
    def mask(self) -> Tensor:
        """(B,T) bool: True where a value is real."""
        positions = torch.arange(self.values.shape[1], device=self.values.device)
        return positions < self.lengths[:, None]

    def zeroed(self) -> Padded:
        """Return the same rows with zeros as padding, even where the padding was not finite."""
        padding = ~self.mask.reshape(self.mask.shape + (1,) * (self.values.ndim - 2))  # (B,T,1,…)
        return type(self)(self.values.masked_fill(padding, 0), self.lengths)

    def rows(self) -> list[Tensor]:
        """Return each row without its padding: B views of shape (T_b,…)."""
        return [row[:length] for row, length in zip(self.values, self.lengths.tolist(), strict=True)]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Padded:
        """Move to a device; `dtype` changes floating values only, so that ids stay ids."""
        kind = dtype if self.values.is_floating_point() else None
        ahead = torch.device(device).type != "cpu"  # a copy to the host must have ended before it is read
        values = self.values.to(device, kind, non_blocking=ahead)
        return type(self)(values, self.lengths.to(device, non_blocking=ahead))

    def __len__(self) -> int:
        """Return the number of rows B."""
        return len(self.values)


class Frames(Padded):
    """Frames (B,T,D) that the frozen encoder computed before, in place of its input features.

    They are its output, or the input of the first layer that an adapter changes.
    """


class Pooled(Frames):
    """Frames (B,A,D) after the projector's time pooling: `pool` returns them unchanged."""
