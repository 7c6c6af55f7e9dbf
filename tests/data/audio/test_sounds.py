"""One way to decode a sound of any format, whole, in spans and in blocks, from a file or from its bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from steermoe_core.data.audio import sounds, waveform
from steermoe_core.data.audio.stored import Encoded
from steermoe_core.data.config import FolderConfig, JsonlConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.data.sources.jsonl import read_jsonl
from steermoe_core.data.usable import usable
from steermoe_core.errors import DataError
from tests.sounds import columns, write_container, write_manifest, write_parquet
from tests.tiny import sine

if TYPE_CHECKING:
    from pathlib import Path

CONTAINERS = [("a.m4a", "aac"), ("a.mp4", "aac"), ("a.webm", "libopus"), ("a.mka", "libopus")]
#: Codecs pad both ends.
PADDING = 0.1


@pytest.fixture(autouse=True)
def _av() -> None:
    pytest.importorskip("av")


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
class TestContainers:
    """What libsndfile does not know."""

    def test_decoded(self, tmp_path: Path, name: str, codec: str) -> None:
        """Loudness and length are those of what went in; blocks and bytes give the same samples."""
        path = write_container(tmp_path / name, codec)

        samples, rate = sounds.read(path, name)

        assert (rate, samples.shape[1]) == (48_000, 2)
        assert len(samples) / rate == pytest.approx(2.0, abs=PADDING)
        assert samples[9_600:-9_600].std() == pytest.approx(sine(1.0).std(), rel=0.1)
        np.testing.assert_array_equal(
            np.concatenate([block for block, _ in sounds.blocks(path, name)]), samples
        )
        np.testing.assert_array_equal(sounds.read(path.read_bytes(), name)[0], samples)

    @pytest.mark.parametrize("seconds", [0.05, 0.7, 3.3])
    def test_length(self, tmp_path: Path, name: str, codec: str, seconds: float) -> None:
        """The measured length is that of what is decoded, but for the codec's padding."""
        path = write_container(tmp_path / name, codec, seconds)

        assert waveform.duration(path) == pytest.approx(seconds, abs=PADDING)
        assert len(waveform.load(path, 16_000)) / 16_000 == pytest.approx(
            waveform.duration(path), abs=PADDING
        )

    def test_spans(self, tmp_path: Path, name: str, codec: str) -> None:
        """A span is that part of the whole; one beyond the end is empty."""
        path = write_container(tmp_path / name, codec)
        whole, rate = sounds.read(path, name)

        np.testing.assert_array_equal(sounds.read(path, name, 0.5, 0.25)[0], whole[rate // 2 :][: rate // 4])
        np.testing.assert_array_equal(sounds.read(path, name, 1.5)[0], whole[3 * rate // 2 :])
        assert len(sounds.read(path, name, 9.0, 1.0)[0]) == 0

    def test_in_a_training_folder(self, tmp_path: Path, name: str, codec: str) -> None:
        """They are clips like others: of a folder, as spans of a manifest, as bytes of a table."""
        write_container(tmp_path / name, codec)
        (tmp_path / "metadata.csv").write_text(f"file_name,text\n{name},one\n")
        manifest = write_manifest(
            tmp_path / "all.jsonl", {"audio": name, "offset": 0.5, "duration": 1.0, "text": "one"}
        )
        content = (tmp_path / name).read_bytes()
        table = write_parquet(
            tmp_path / "t.parquet", columns(["one"]) | {"audio": [{"bytes": content, "path": name}]}
        )

        (clip,) = read_folder(FolderConfig(path=tmp_path))
        (span,) = read_jsonl(JsonlConfig(path=manifest))

        assert clip.seconds == pytest.approx(2.0, abs=PADDING)
        assert (span.seconds, len(waveform.load(span.audio, 16_000))) == (1.0, 16_000)
        cell = Encoded(table, 0, "audio")
        np.testing.assert_array_equal(waveform.load(cell, 16_000), waveform.load(clip.audio, 16_000))
        assert waveform.duration(cell) == clip.seconds

    def test_broken(self, tmp_path: Path, name: str, codec: str) -> None:
        """Of a file whose beginning is damaged, and of one that breaks off, one sentence says which it is."""
        front = {"movflags": "faststart"} if codec == "aac" else {}
        content = write_container(tmp_path / name, codec, 9.0, **front).read_bytes()
        for broken in (b"\0" * 99 + content[99:], content[: len(content) // 2]):
            path = tmp_path / f"broken-{name}"
            path.write_bytes(broken)
            for ask in (waveform.duration, lambda sound: waveform.load(sound, 16_000)):
                with pytest.raises(DataError, match=rf"broken-{name}: cannot be read as audio \([^\n]*\)$"):
                    ask(path)

    def test_without_the_package(
        self, tmp_path: Path, name: str, codec: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Training stops with the sentence that names what to install."""
        write_container(tmp_path / name, codec)
        (tmp_path / "metadata.csv").write_text(f"file_name,text\n{name},one\n")
        monkeypatch.setitem(sys.modules, "av", None)

        with pytest.raises(DataError, match=rf"{name}: cannot be read .*pip install 'steermoe\[av\]'"):
            usable(read_folder(FolderConfig(path=tmp_path)), min_seconds=0.0, max_seconds=9.0, max_bad=0.0)


def test_a_header_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    """What a browser records into a stream is measured by reading it."""
    path = write_container(tmp_path / "a.webm", "libopus", 1.5, seekable=False)

    assert sounds.seconds(path) is None
    assert waveform.duration(path) == pytest.approx(1.5, abs=PADDING)


def test_formats_that_libsndfile_knows_need_no_other_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyAV is not asked for them."""
    monkeypatch.setitem(sys.modules, "av", None)
    soundfile.write(tmp_path / "a.flac", sine(0.5), 16_000)

    assert waveform.duration(tmp_path / "a.flac") == 0.5
    assert len(waveform.load(tmp_path / "a.flac", 16_000)) == 8_000


def test_samples_without_a_header(tmp_path: Path) -> None:
    """A .raw file is refused in training as in transcription: nobody can know its rate."""
    (tmp_path / "a.raw").write_bytes(bytes(999))
    for ask in (waveform.duration, lambda path: waveform.load(path, 16_000)):
        with pytest.raises(DataError, match=r"a\.raw: a \.raw file does not say its rate"):
            ask(tmp_path / "a.raw")
