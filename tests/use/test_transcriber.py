"""`steermoe_core.load(folder).transcribe(sounds)`: what the command gives, from Python."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import torch

import steermoe_core
from steermoe_core.data.audio.waveform import load
from steermoe_core.errors import DataError, UsageError
from steermoe_core.use.transcript import Transcript
from tests.rig import texts
from tests.tiny import sine, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


def test_gives_what_the_command_gives(rig: Rig, finished: Path) -> None:
    """For paths as text or Path, for waveforms of any float type, mixed."""
    model = steermoe_core.load(finished)
    paths = [rig.folder / "dev" / f"00{number}.wav" for number in range(4)]
    wave = load(paths[2], 16_000)

    found = model.transcribe([str(paths[0]), paths[1], wave, load(paths[3], 16_000).astype(np.float64)])

    assert found == list(texts(finished).values())
    assert model.transcribe([]) == []


def test_one_sound_is_one_text(rig: Rig, finished: Path) -> None:
    """A path or a waveform alone gives its text; any iterable of them gives a list."""
    model, path = steermoe_core.load(finished), rig.folder / "dev" / "000.wav"
    (text,) = model.transcribe(iter([path]))

    assert [model.transcribe(one) for one in (path, str(path), load(path, 16_000))] == [text] * 3
    assert [found.text for found in model.transcripts(str(path)) if isinstance(found, Transcript)] == [text]


def test_a_sound_in_any_form(rig: Rig, finished: Path) -> None:
    """A waveform with its rate, bytes and an open file are one sound each, alone and in a list."""
    path = rig.folder / "dev" / "001.wav"
    content, wave, expected = path.read_bytes(), load(path, 16_000), texts(finished)["001.wav"]
    model = steermoe_core.load(finished)
    forms = [content, bytearray(content), memoryview(content), io.BytesIO(content)]
    forms += [wave, (wave, 16_000), torch.from_numpy(wave), (wave, np.int64(16_000))]

    assert [model.transcribe(one) for one in forms] == [expected] * len(forms)
    assert model.transcribe(forms) == [expected] * len(forms)
    with path.open("rb") as file:
        assert model.transcribe(file) == expected


def test_refuses_files_without_bytes(rig: Rig, finished: Path) -> None:
    """A closed file, and one opened for text: its name and what to do."""
    path = rig.folder / "dev" / "001.wav"
    model = steermoe_core.load(finished)
    text = r'001\.wav is a file opened for reading text; .* "rb"'
    with path.open(encoding="latin-1") as file, pytest.raises(UsageError, match=text):
        model.transcribe(file)
    with pytest.raises(UsageError, match=r"001\.wav is a closed file"):
        model.transcribe(file)


def test_refuses_bytes_that_are_no_sound(finished: Path) -> None:
    """Which one of them."""
    with pytest.raises(DataError, match=r"^sound 2: cannot be read as audio"):
        steermoe_core.load(finished).transcribe([sine(0.5), b"RIFF" * 99])


@pytest.mark.parametrize("rate", [0, -1])
def test_refuses_an_impossible_rate(finished: Path, rate: int) -> None:
    """Given with the waveform, or for all of them."""
    model = steermoe_core.load(finished)
    for given, other in (((sine(0.5), rate), None), (sine(0.5), rate)):
        with pytest.raises(UsageError, match=f"^the rate of waveform 1 .* is {rate}"):
            model.transcribe(given, rate=other)


@pytest.mark.parametrize("given", [{"array": [0.0]}, 5, None, [3.0, 4.0], ["a.wav", None], (1.0, 2)])
def test_refuses_what_is_no_sound(rig: Rig, finished: Path, given: object) -> None:
    """It says what it takes."""
    write_wav(rig.folder / "a.wav", 0.5)
    model = steermoe_core.load(finished)

    with pytest.raises(UsageError, match=r"^a sound is a path, .* reading bytes, not \w+;"):
        model.transcribe(given)


def test_waveforms_of_another_rate(rig: Rig, finished: Path) -> None:
    """They are resampled as files of that rate are."""
    wave = sine(0.8, 44_100, 300.0)
    soundfile.write(rig.folder / "a.wav", wave, 44_100, subtype="FLOAT")
    model = steermoe_core.load(finished)

    assert model.transcribe([wave], rate=44_100) == model.transcribe([rig.folder / "a.wav"])


def test_segments(finished: Path) -> None:
    """Texts with their times, as short as one likes."""
    found = steermoe_core.load(finished).segments(sine(3.0), longest=1.0)

    assert [found[0].start, found[-1].end] == [0.0, 3.0]
    assert all(0.0 < one.end - one.start <= 1.0 and one.text for one in found)


def test_refuses_other_arrays(finished: Path) -> None:
    """Which one, what it is, what it should be."""
    model = steermoe_core.load(finished)
    for wave in (
        np.zeros((2, 16_000), np.float32),
        np.zeros(0, np.float32),
        np.zeros(16_000, np.int16),
        np.full(16_000, np.nan, np.float32),
    ):
        with pytest.raises(DataError, match=r"^waveform 2 is .*; give one channel of finite floats"):
            model.transcribe([sine(0.5), wave])
