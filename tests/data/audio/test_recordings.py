"""Recordings of any format, length and origin are decoded in blocks, to the samples of `waveform.load`."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from steermoe_core.data.audio import sounds, waveform
from steermoe_core.data.audio.recordings import Recording, Waves, recording
from steermoe_core.errors import DataError, UsageError
from tests.sounds import sound, write_container
from tests.tiny import sine, write_wav

if TYPE_CHECKING:
    from collections.abc import Callable


def heard(file: Any, rate: int = 16_000) -> np.ndarray:
    """Return all of a recording."""
    return np.concatenate(list(Recording(file, str(file)).blocks(rate)))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_blocks_are_the_whole(
    tmp_path: Path, suffix: str, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit what is trained on and scored, at any rate and with any channels."""
    if suffix == "mp3" and rate == 96_000:
        pytest.skip("MP3 has no such rate")
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.stack([sine(3.5, rate), sine(3.5, rate, 700.0)], axis=1), rate)
    monkeypatch.setattr(sounds, "_BLOCK", 4_099)

    np.testing.assert_array_equal(heard(path), waveform.load(path, 16_000))


@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "aac"), ("a.mp4", "aac"), ("a.webm", "libopus"), ("a.mov", "aac")]
)
def test_containers(tmp_path: Path, name: str, codec: str) -> None:
    """What libsndfile does not know PyAV decodes: loudness and length of what went in."""
    pytest.importorskip("av")
    path = write_container(tmp_path / name, codec)

    found = heard(path)

    assert len(found) / 16_000 == pytest.approx(2.0, abs=0.1)
    assert found[4_000:-4_000].std() == pytest.approx(sine(1.0).std(), rel=0.1)
    assert Recording(path, name).seconds() == pytest.approx(2.0, abs=0.1)
    np.testing.assert_array_equal(heard(io.BytesIO(path.read_bytes())), found)
    np.testing.assert_array_equal(waveform.load(path, 16_000), found)


def test_containers_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names what to install."""
    pytest.importorskip("av")
    path = write_container(tmp_path / "a.m4a", "aac")
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(DataError, match=r"a\.m4a: cannot be read as audio .*pip install 'steermoe\[av\]'"):
        heard(path)
    assert Recording(path, "a.m4a").seconds() is None


def test_a_film_without_sound(tmp_path: Path) -> None:
    """Is not silence."""
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(stream.encode(None))

    with pytest.raises(DataError, match="there is no sound in it"):
        heard(tmp_path / "a.mkv")


def test_pipes(tmp_path: Path) -> None:
    """What can't be sought in is read once: a named pipe, the end of a pipe, each in any format."""
    content, expected = sound(1.5), waveform.load(write_wav(tmp_path / "a.wav", 1.5), 16_000)
    named = tmp_path / "pipe"
    os.mkfifo(named)
    threading.Thread(target=named.write_bytes, args=(content,)).start()
    np.testing.assert_allclose(heard(named), expected, atol=1e-4)

    def fill(end: int) -> None:
        with os.fdopen(end, "wb") as file:
            file.write(content)

    out, into = os.pipe()
    threading.Thread(target=fill, args=(into,)).start()
    with os.fdopen(out, "rb") as stream:
        np.testing.assert_allclose(heard(stream), expected, atol=1e-4)
        assert not stream.closed


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "{}: there is no such audio file"),
        (lambda path: path.mkdir(), "{} is a folder; name the sound files in it"),
        (lambda path: path.write_bytes(b""), "{}: the audio file holds no samples"),
        (lambda path: path.write_text("hello\n" * 99), "{}: cannot be read as audio (Format not recognised)"),
        (lambda path: write_wav(path, 0.0), "{}: the audio file holds no samples"),
        (
            lambda path: path.write_bytes(sound(9.0)[:9_000]),
            "{}: cannot be read as audio (Error : flac decoder",
        ),
        (
            lambda path: soundfile.write(path, np.full(99, np.nan), 16_000, subtype="FLOAT"),
            "{}: the audio holds values that are not finite",
        ),
    ],
    ids=["missing", "folder", "empty", "text", "no samples", "cut off", "nan"],
)
def test_what_cannot_be_used(tmp_path: Path, make: Callable[[Path], None], reason: str) -> None:
    """One sentence that says which file, and why."""
    path = tmp_path / "sound.wav"
    make(path)

    with pytest.raises(DataError, match=f"^{re.escape(reason.format(path))}"):
        heard(path)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says."""

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a\.wav: cannot be read \(Permission denied\)"):
        heard(tmp_path / "a.wav")


def test_samples_without_a_header(tmp_path: Path) -> None:
    """Nobody can know their rate."""
    (tmp_path / "a.raw").write_bytes(bytes(999))
    with pytest.raises(DataError, match="does not say its rate"):
        heard(tmp_path / "a.raw")


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    """Ten minutes are 38 MB of samples."""
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(160_000, np.float32))
    tracemalloc.start()

    samples = sum(map(len, Recording(path, "long").blocks(16_000)))

    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 600 * 16_000
    assert most < 2**24


class TestWaves:
    """Waveforms in memory."""

    def test_any_rate(self) -> None:
        """They are resampled as files are."""
        (*_, last) = found = list(Waves(sine(1.0, 44_100), 44_100, "it").blocks(16_000))

        assert sum(map(len, found)) == 16_000
        assert last.dtype == np.float32

    def test_floats_of_other_widths(self) -> None:
        """Are taken as they are."""
        np.testing.assert_array_equal(
            *Waves(sine(0.1).astype(np.float64), 16_000, "it").blocks(16_000), sine(0.1)
        )


class TestCommandLine:
    """What a word on the command line stands for."""

    def test_stdin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dash is what is piped in."""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sound())))

        assert recording("-").name == "-"
        assert sum(map(len, recording("-").blocks(16_000))) == 8_000

    def test_nothing_is_piped_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No program waits for somebody to type a sound."""
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(UsageError, match="piped in, and nothing is"):
            recording("-")
