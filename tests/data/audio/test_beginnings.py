"""How clips begin is kept when training reads them, and found again as long as the file is the same."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from steermoe_core.data.audio import beginnings
from steermoe_core.data.audio.beginnings import NONE, address, kept_prints, known, places
from steermoe_core.data.audio.features import mel_batch
from steermoe_core.data.audio.stored import Encoded, Mel, Segment
from steermoe_core.data.audio.waveform import begin_alike, file_of, fingerprints, load
from steermoe_core.data.example import Example
from steermoe_core.data.worker_errors import WorkerCollate
from tests.sounds import columns, processed_mels, sound, write_parquet
from tests.tiny import write_wav

if TYPE_CHECKING:
    from steermoe_core.data.audio.stored import Audio

pytestmark = pytest.mark.usefixtures("own_cache")


def kept(*audios: Audio) -> list[int]:
    """Return the prints that are kept of some clips."""
    where = [address(audio) for audio in audios]
    files = [str(file_of(audio)) for audio in audios]
    return known(np.fromiter(places(where), np.uint64), files).tolist()


@pytest.fixture
def clips(tmp_path: Path) -> list[Audio]:
    """Write a file, a span of it, and a table."""
    wav = write_wav(tmp_path / "a.wav", 1.0)
    return [
        wav,
        Segment(wav, 0.1004, 0.6),
        Encoded(write_parquet(tmp_path / "t.parquet", columns()), 1, "audio"),
    ]


def test_reading_for_training_keeps_it(clips: list[Audio]) -> None:
    """Nothing else that decodes a clip does; the print is of the beginning at the clip's own rate."""
    for clip in clips:
        load(clip, 16_000)
    assert kept(*clips) == [NONE] * 3

    with kept_prints(when=True):
        for clip in clips:
            load(clip, 8_000)

    found = kept(*clips)
    assert NONE not in found
    assert found == list(begin_alike(clips))
    assert len(set(found)) == 3


def test_log_mels_begin_too(tmp_path: Path) -> None:
    """Stored features have a print as sound has, of their frames."""
    table = write_parquet(tmp_path / "t.parquet", processed_mels(seconds=1.0))
    mels = [Mel(table, row, "input_features", 1.0) for row in range(2)]

    with kept_prints(when=True):
        mel_batch(mels, [8])

    assert NONE not in kept(*mels)
    assert kept(*mels) == list(begin_alike(mels))


def test_a_batch_of_training_keeps_it_once(clips: list[Audio]) -> None:
    """At the first turn of an example."""
    examples = [
        Example(id="a", audio=clip, text="", seconds=1.0, turn=turn) for turn, clip in enumerate(clips)
    ]
    collate = WorkerCollate(lambda batch: [load(example.audio, 16_000) for example in batch])  # type: ignore[arg-type, return-value]
    for example in examples:
        collate([example])

    assert [one != NONE for one in kept(*clips)] == [True, False, False]


def test_a_fingerprint_keeps_it(clips: list[Audio]) -> None:
    """So does what compares clips: the next time, nothing is decoded."""
    list(fingerprints(clips[:1]))
    list(begin_alike(clips[1:]))

    assert kept(*clips) == list(begin_alike(clips))


def test_another_file_of_the_same_name(tmp_path: Path, clips: list[Audio]) -> None:
    """Size and time of a file belong to its prints."""
    before = list(begin_alike(clips[:2]))
    write_wav(tmp_path / "a.wav", 1.0, hertz=300.0)
    assert kept(*clips[:2]) == [NONE, NONE]

    after = list(begin_alike(clips[:2]))

    assert kept(*clips[:2]) == after
    assert not set(before) & set(after)
    (tmp_path / "a.wav").unlink()
    assert kept(clips[0]) == [NONE]


def test_a_clip_that_cannot_be_read(tmp_path: Path) -> None:
    """It has no print, and is no other's equal."""
    assert list(begin_alike([tmp_path / "no.wav"])) == [NONE]
    assert kept(tmp_path / "no.wav") == [NONE]


def test_the_same_beginning_in_other_forms(tmp_path: Path) -> None:
    """A print is of the samples, however they are stored."""
    flac = tmp_path / "a.flac"
    flac.write_bytes(sound(1.0))
    table = write_parquet(tmp_path / "t.parquet", {"audio": [sound(2.0)]})

    one, other = begin_alike([flac, Encoded(table, 0, "audio")])

    assert one == other


def test_old_files_are_made_one(own_cache: Path, clips: list[Audio], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a process may still append to stay; the newest print of a clip counts."""
    folder = own_cache / "beginnings"
    for day, clip in enumerate([clips[0], clips[1], clips[0], clips[2]]):
        beginnings._sink.cache_clear()
        beginnings.keep(clip, 10 + day)
        (newest,) = set(folder.iterdir()) - {file for file in folder.iterdir() if file.stat().st_mtime < 1e6}
        os.utime(newest, (1_000.0 + day, 1_000.0 + day) if day < 3 else None)
    with newest.open("ab") as file:
        file.write(b"torn")

    for _ in range(2):
        assert kept(*clips) == [12, 11, 13]
        assert len(list(folder.iterdir())) == 2
    monkeypatch.setattr(time, "time", lambda: 2.0 * newest.stat().st_mtime)
    assert kept(*clips) == [12, 11, 13]
    assert len(list(folder.iterdir())) == 1


def test_a_file_that_another_process_has_merged(
    own_cache: Path, clips: list[Audio], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone after the folder was listed: what the other files hold is found."""
    beginnings._sink.cache_clear()
    beginnings.keep(clips[0], 10)
    real = Path.glob

    def listed(folder: Path, pattern: str) -> list[Path]:
        return [*real(folder, pattern), folder / "gone.bin"]

    monkeypatch.setattr(Path, "glob", listed)
    assert kept(clips[0], clips[1]) == [10, NONE]
    assert [file.suffix for file in (own_cache / "beginnings").iterdir()] == [".bin"]
