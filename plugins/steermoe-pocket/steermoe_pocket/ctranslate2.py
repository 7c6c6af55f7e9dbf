"""Reader of CTranslate2's `model.bin`: a flat list of named arrays.

Layout (all little-endian): u32 format version; string spec name; u32 spec revision; u32 count, then that
many variables; u32 count, then that many aliases. A string is a u16 length (with its closing zero byte) and
bytes. A variable is: string name; u8 rank; u32 of each dimension; u8 type; u32 bytes; the values. An alias is
two strings: another name, and the variable that it stands for.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = 6
_TYPES = ("<f4", "i1", "<i2", "<i4", "<f2")


@attrs.frozen
class Ct2Model:
    """What the file holds: the model family with its revision, and every variable by name, aliases too."""

    spec: str
    revision: int
    variables: dict[str, NDArray[np.generic]]


def read(content: bytes, name: Path | str) -> Ct2Model:
    """Parse the bytes of a `model.bin`.

    :param name: of the file, for messages.
    :raises SetupError: when it is of another format version, cut off, or holds a type that is not known.
    """
    reader = _Reader(content)
    try:
        if (version := reader.number("<I")) != FORMAT:
            msg = f"{name}: CTranslate2 format {version} is not known, only {FORMAT}"
            raise SetupError(msg)
        spec, revision = reader.string(), reader.number("<I")
        variables = dict(reader.variable() for _ in range(reader.number("<I")))
        for _ in range(reader.number("<I")):
            alias, target = reader.string(), reader.string()
            variables[alias] = variables[target]
    except (struct.error, IndexError, KeyError, ValueError) as error:
        msg = f"{name}: damaged at byte {reader.position} ({error})"
        raise SetupError(msg) from error
    return Ct2Model(spec, revision, variables)


@attrs.define
class _Reader:
    content: bytes
    position: int = 0

    def number(self, layout: str) -> int:
        (value,) = struct.unpack_from(layout, self.content, self.position)
        self.position += struct.calcsize(layout)
        return int(value)

    def string(self) -> str:
        length = self.number("<H")
        return self._take(length)[:-1].decode()

    def variable(self) -> tuple[str, NDArray[np.generic]]:
        name = self.string()
        shape = [self.number("<I") for _ in range(self.number("<B"))]
        kind = _TYPES[self.number("<B")]
        values = np.frombuffer(self._take(self.number("<I")), kind)
        return name, values.reshape(shape)

    def _take(self, size: int) -> bytes:
        taken = self.content[self.position : self.position + size]
        if len(taken) != size:
            msg = "the file ends too early"
            raise ValueError(msg)
        self.position += size
        return taken
