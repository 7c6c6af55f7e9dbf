"""Reads the offline files of W&B: protobuf records of its own, framed as in a log of LevelDB."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes before the first frame, of a frame's header (CRC, length, kind), and of a block.
_START, _HEADER, _BLOCK = 7, 7, 32_768
#: Kinds of a frame: a whole record, or the last part of one.
_WHOLE, _LAST = 1, 4


def last_step(path: Path) -> int:
    """Return the last step whose figures are in a file, which a kill may have cut short; -1 without one."""
    steps = (
        json.loads(item.value_json)
        for record in _records(path.read_bytes())
        for item in record.history.item
        if item.key == "_step" or list(item.nested_key) == ["_step"]
    )
    return max(steps, default=-1)


def _records(data: bytes) -> Iterator[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    place, parts = _START, b""
    while place + _HEADER <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:  # too small for a frame: padding
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        place += _HEADER
        if place + length > len(data):
            return
        parts += data[place : place + length]
        place += length
        if kind in {_WHOLE, _LAST}:
            yield Record.FromString(parts)
            parts = b""
