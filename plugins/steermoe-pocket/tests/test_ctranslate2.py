"""The reader of CTranslate2's binary, on binaries that are written here."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.errors import SetupError
from steermoe_pocket import ctranslate2

TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
MATRIX = np.arange(6, dtype=np.float16).reshape(2, 3)


def string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def variable(name: str, values: np.ndarray) -> bytes:
    shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
    return (
        string(name) + shape + struct.pack("<BI", TYPES[values.dtype.name], values.nbytes) + values.tobytes()
    )


def binary(variables: dict[str, np.ndarray], aliases: dict[str, str], version: int = 6) -> bytes:
    """Write a `model.bin`."""
    parts = [struct.pack("<I", version), string("TestSpec"), struct.pack("<II", 3, len(variables))]
    parts += [variable(name, values) for name, values in variables.items()]
    parts += [struct.pack("<I", len(aliases)), *(string(a) + string(b) for a, b in aliases.items())]
    return b"".join(parts)


@pytest.mark.parametrize("kind", TYPES)
def test_variables_come_back(kind: str) -> None:
    """Names, shapes, types, values; a scalar has no dimensions."""
    scalar = np.array(7, dtype=kind)
    model = ctranslate2.read(binary({"a/matrix": MATRIX.astype(kind), "b": scalar}, {}), "m")
    assert (model.spec, model.revision) == ("TestSpec", 3)
    assert np.array_equal(model.variables["a/matrix"], MATRIX.astype(kind))
    assert model.variables["a/matrix"].dtype == kind
    assert model.variables["b"].shape == ()
    assert model.variables["b"] == 7


def test_an_alias_is_the_variable_that_it_names() -> None:
    """Tied weights are stored once."""
    model = ctranslate2.read(binary({"a": MATRIX}, {"b": "a"}), "m")
    assert model.variables["b"] is model.variables["a"]


def test_another_format_version_is_refused() -> None:
    """Its layout may be another."""
    with pytest.raises(SetupError, match=r"model\.bin: CTranslate2 format 9 is not known"):
        ctranslate2.read(binary({}, {}, version=9), "model.bin")


@given(st.integers(min_value=0, max_value=len(binary({"a": MATRIX}, {"b": "a"})) - 1))
def test_a_file_that_is_cut_off_is_refused(size: int) -> None:
    """Wherever it ends."""
    with pytest.raises(SetupError, match=r"model\.bin: damaged at byte"):
        ctranslate2.read(binary({"a": MATRIX}, {"b": "a"})[:size], "model.bin")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Nothing but a SetupError comes out of rubbish."""
    with suppress(SetupError):
        ctranslate2.read(struct.pack("<I", 6) + content, "model.bin")
