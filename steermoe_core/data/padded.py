"""A batch of rows of unequal length, padded to the longest: values together with their lengths."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from typing_extensions import Self


class Lengths:
    """The lengths (B,) of rows: in host memory and, once they are needed there, on the device of the values.

    Lengths that begin on the host reach the device without a wait. The other way waits for the device.

    :param given: int64, on either side.
    """

    def __init__(self, given: Tensor) -> None:
        self.given = given
        self._there: Tensor | None = None

    @cached_property
    def host(self) -> Tensor:
        """(B,) int64 in host memory."""
        return self.given.cpu()

    def on(self, device: torch.device) -> Tensor:
        """Return the lengths on a device."""
        if self._there is None or self._there.device != device:
            self._there = self.given.to(device, non_blocking=self.given.device.type == "cpu")
        return self._there


class Padded:
    """Rows of unequal length in one tensor.

    :param values: (B,T,…); row b is real in its first `lengths[b]` positions, the rest is padding of any
        value.
    :param lengths: (B,) int64, in host memory or on the device of the values; or the `Lengths` of another.
    :raises ValueError: when the two do not fit together.
    """

    def __init__(self, values: Tensor, lengths: Tensor | Lengths) -> None:
        """Check shapes and types only: comparing lengths with T would wait for the accelerator."""
        self.values = values
        self._both = lengths if isinstance(lengths, Lengths) else Lengths(lengths)
        given = self._both.given
        if values.ndim < 2 or given.shape != values.shape[:1]:  # noqa: PLR2004  # B and T
            msg = f"lengths {tuple(given.shape)} do not fit values {tuple(values.shape)}"
            raise ValueError(msg)
        if given.dtype != torch.int64:
            msg = f"lengths must be int64, not {given.dtype}"
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
        return cls(values, torch.tensor([len(row) for row in rows], device="cpu"))

    @property
    def lengths(self) -> Tensor:
        """(B,) int64, on the device of the values."""
        return self._both.on(self.values.device)

    @property
    def host_lengths(self) -> Tensor:
        """(B,) int64 in host memory: what to compute shapes and other lengths from, without a wait."""
        return self._both.host

    def holding(self, values: Tensor) -> Padded:
        """Return other values (B,T,…) for rows of the same lengths."""
        return Padded(values, self._both)

    def bare(self) -> Padded:
        """Return the rows without values (B,0): lengths that keep no graph alive."""
        return self.holding(self.values.new_empty(len(self), 0))

    @property
    def mask(self) -> Tensor:
        """(B,T) bool: True where a value is real."""
        positions = torch.arange(self.values.shape[1], device=self.values.device)
        return positions < self.lengths[:, None]

    def zeroed(self) -> Padded:
        """Return the same rows with zeros as padding, even where the padding was not finite."""
        padding = ~self.mask.reshape(self.mask.shape + (1,) * (self.values.ndim - 2))  # (B,T,1,…)
        return type(self)(self.values.masked_fill(padding, 0), self._both)

    def rows(self) -> list[Tensor]:
        """Return each row without its padding: B views of shape (T_b,…)."""
        return [row[:length] for row, length in zip(self.values, self.host_lengths.tolist(), strict=True)]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Padded:
        """Move to a device; `dtype` changes floating values only, so that ids stay ids."""
        kind = dtype if self.values.is_floating_point() else None
        ahead = torch.device(device).type != "cpu"  # a copy to the host must have ended before it is read
        return type(self)(self.values.to(device, kind, non_blocking=ahead), self._both)

    def pin_memory(self) -> Padded:
        """Put the values into page-locked memory, from which copies to a GPU do not wait."""
        return type(self)(self.values.pin_memory(), self._both)

    def __len__(self) -> int:
        """Return the number of rows B."""
        return len(self.values)


class Frames(Padded):
    """Frames (B,T,D) that the frozen encoder computed before, in place of its input features.

    They are its output, or the input of the first layer that an adapter changes.
    """


class Pooled(Frames):
    """Frames (B,A,D) after the projector's time pooling: `pool` returns them unchanged."""


class Waveforms(Padded):
    """Waveforms (B,samples), in place of the features that the encoder computes of them on its device."""

    @classmethod
    def of(cls, waveforms: Sequence[np.ndarray]) -> Waveforms:
        """Pad waveforms (float32, mono): what a collator calls in place of `Encoder.features`."""
        return cls.stack([torch.from_numpy(wave) for wave in waveforms])
