"""Cepstral mean and variance statistics as Kaldi stores them: binary matrices and text matrices."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Types of a binary matrix: doubles and floats.
_TYPES = {b"DM ": "<f8", b"FM ": "<f4"}
#: "\0B", the type, then rows and columns, each with the size of its integer in front.
_HEADER = struct.Struct("<2s3sBiBi")
#: A text matrix, with or without the key of an archive in front.
_TEXT = re.compile(r"\s*\S*\s*\[([^\[\]]*)\]\s*")
_LEAST_VARIANCE = 1e-20


@attrs.frozen(eq=False)
class Cmvn:
    """What features are normalised with.

    :param mean: of each bin (F,), fp32.
    :param deviation: standard deviation of each bin (F,), fp32.
    """

    mean: torch.Tensor
    deviation: torch.Tensor


def read(path: Path, bins: int) -> Cmvn:
    """Read `cmvn.ark` or `cmvn.txt`: sums and the count in the first row, sums of squares in the second.

    :param bins: F, as many as the network has.
    :raises SetupError: the file is no such matrix, or one of another width.
    """
    content = path.read_bytes()
    sums = _binary(content, path) if content.startswith(b"\0B") else _text(content, path)
    if sums.shape != (2, bins + 1):
        wanted = f"2 rows and {bins + 1} columns"
        found = f"{sums.shape[0]} rows and {sums.shape[1]} columns"
        msg = f"{path} has {found}, but an encoder of {bins} mel bins needs {wanted}; take its own file"
        raise SetupError(msg)
    return _normalisation(sums, path)


def _normalisation(sums: NDArray[np.float64], path: Path) -> Cmvn:
    count = sums[0, -1]
    if not np.isfinite(sums).all() or count <= 0:
        msg = f"{path} counts {count:g} frames or holds values that are not finite; take the original file"
        raise SetupError(msg)
    mean = sums[0, :-1] / count
    variance = np.maximum(sums[1, :-1] / count - mean**2, _LEAST_VARIANCE)
    return Cmvn(torch.from_numpy(mean).float(), torch.from_numpy(np.sqrt(variance)).float())


def _binary(content: bytes, path: Path) -> NDArray[np.float64]:
    if len(content) < _HEADER.size:
        raise _damaged(path)
    _, kind, size, rows, other, columns = _HEADER.unpack_from(content)
    numbers = content[_HEADER.size :]
    if kind not in _TYPES or (size, other) != (4, 4) or min(rows, columns) < 1:
        raise _damaged(path)
    if len(numbers) != rows * columns * np.dtype(_TYPES[kind]).itemsize:
        raise _damaged(path)
    return np.frombuffer(numbers, _TYPES[kind]).reshape(rows, columns).astype(np.float64)


def _text(content: bytes, path: Path) -> NDArray[np.float64]:
    try:
        match = _TEXT.fullmatch(content.decode("ascii"))
        rows = match.group(1).strip().splitlines() if match else []
        return np.array([[float(number) for number in row.split()] for row in rows], ndmin=2)
    except ValueError:  # no text, no numbers, or rows of unequal length
        raise _damaged(path) from None


def _damaged(path: Path) -> SetupError:
    return SetupError(
        f"{path} is no matrix as Kaldi writes it, binary or text; copy it again from its source"
    )
