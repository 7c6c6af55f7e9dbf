"""Audio inside other files is decoded like a file of its own."""

from __future__ import annotations

import io
import pickle
from pathlib import Path  # noqa: TC003 - attrs resolves it
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
import soundfile

from steermoe_core import DataError, EncodedAudio, durations
from steermoe_core.data.audio.stored import Encoded
from steermoe_core.data.audio.waveform import load
from steermoe_core.data.columnar import cell, content
from tests.sounds import columns, save_to_disk

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 8_000


@attrs.frozen
class Span(EncodedAudio):
    """Some bytes of a file."""

    path: Path
    offset: int
    size: int

    @property
    def file(self) -> Path:
        return self.path

    def content(self) -> bytes:
        return self.path.read_bytes()[self.offset : self.offset + self.size]

    def __str__(self) -> str:
        """Return the file and the place."""
        return f"{self.path} at {self.offset}"


@pytest.fixture
def samples() -> NDArray[np.float32]:
    """Return half a second of a tone."""
    return np.sin(np.arange(RATE // 2) / 5).astype(np.float32)


@pytest.fixture
def span(samples: NDArray[np.float32], tmp_path: Path) -> Span:
    """Return a sound file between other bytes."""
    memory = io.BytesIO()
    soundfile.write(memory, samples, RATE, format="WAV", subtype="FLOAT")
    content = memory.getvalue()
    path = tmp_path / "archive"
    path.write_bytes(b"before" + content + b"after")
    return Span(path, 6, len(content))


def test_it_is_decoded(span: Span, samples: NDArray[np.float32]) -> None:
    """Samples and length, also where the record was sent to another process."""
    sent = pickle.loads(pickle.dumps(span))  # noqa: S301 - our own

    assert durations([sent]) == [0.5]
    np.testing.assert_allclose(load(sent, RATE), samples, atol=1e-6)


def test_a_fault_names_the_place(span: Span) -> None:
    """Not only the file, which holds other clips as well."""
    broken = attrs.evolve(span, offset=9)

    assert np.isnan(durations([broken])[0])
    with pytest.raises(DataError, match="archive at 9"):
        load(broken, RATE)


@pytest.mark.parametrize("number", range(3))
def test_bytes_of_a_mapped_table_are_not_copied(tmp_path: Path, number: int) -> None:
    """Two looks at a value are at the same place in memory."""
    (table,) = save_to_disk(tmp_path / "set", columns()).glob("*.arrow")

    one, other = (content(cell(table, number, "audio").field("bytes")) for _ in range(2))

    assert one is not None
    assert other is not None
    assert one.address == other.address
    assert (
        one.to_pybytes() == columns()["audio"][number]["bytes"] == Encoded(table, number, "audio").content()
    )
    assert Encoded(table, number, "audio").seconds() == 0.5
