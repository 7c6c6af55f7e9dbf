"""`steermoe transcribe`: files in, texts out."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

import steermoe_core
from steermoe_core.cli.main import main
from steermoe_core.data.audio import load
from steermoe_core.errors import DataError
from tests.rig import sentence, texts
from tests.tiny import sine, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


def test_one_file_is_its_text(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text that the evaluation gave, and nothing else."""
    assert main(["transcribe", str(finished), str(rig.folder / "dev" / "001.wav")]) == 0
    assert capsys.readouterr().out == texts(finished)["001.wav"] + "\n"


def test_several_files_are_named(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a file, in the order given; `--json` a line of JSON each."""
    expected = texts(finished)
    names = ["003.wav", "000.wav", "001.wav", "002.wav"]
    paths = [str(rig.folder / "dev" / name) for name in names]

    assert main(["transcribe", str(finished), *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{path}: {expected[name]}" for path, name in zip(paths, names, strict=True)]

    assert main(["transcribe", str(finished), *paths, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [{"file": path, "text": expected[name]} for path, name in zip(paths, names, strict=True)]


def test_a_prompt_of_ones_own(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each sound is asked it; the experiment's own gives what none gives; without a slot it is refused."""
    sound = str(rig.folder / "dev" / "001.wav")
    said = {}
    for prompt in ("please transcribe the audio content into text: ", "what is it ?"):
        assert main(["transcribe", str(finished), sound, "--prompt", prompt]) == 0
        said[prompt] = capsys.readouterr().out
    assert said["please transcribe the audio content into text: "] == texts(finished)["001.wav"] + "\n"
    assert len(set(said.values())) == 2

    slotless = rig.run('collator.template="{audio}"')
    capsys.readouterr()
    assert main(["transcribe", str(slotless), sound, "--prompt", "what is it ?"]) == 1
    assert "waveform 1: the clip has its own prompt, but collator.template has no slot" in sentence(capsys)


def test_any_rate(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """44.1 kHz stereo and 16 kHz mono of the same sound are the same text."""
    one = write_wav(rig.folder / "stereo.wav", 0.8, rate=44_100, channels=2, hertz=300.0)
    two = write_wav(rig.folder / "mono.wav", 0.8, hertz=300.0)

    assert main(["transcribe", str(finished), str(one), str(two), "--json"]) == 0

    first, second = (json.loads(line)["text"] for line in capsys.readouterr().out.splitlines())
    assert first == second


def test_adapter_folder_alone(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The adapter folder can be taken elsewhere."""
    place = rig.folder / "given away"
    shutil.move(finished / "adapter", place)

    assert main(["transcribe", str(place), str(rig.folder / "dev" / "001.wav")]) == 0
    assert capsys.readouterr().out == texts(finished)["001.wav"] + "\n"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "there is no such audio file"),
        (lambda path: path.write_text("hello"), "cannot be read as audio"),
        (lambda path: write_wav(path, 0.0), "the audio file holds no samples"),
        (
            lambda path: write_wav(path, 20.5),
            "lasts 20.5 s and the encoder takes 20 s; cut it into shorter files",
        ),
    ],
)
def test_file_that_cannot_be_used(
    rig: Rig, finished: Path, make: object, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the file's name and what is wrong."""
    path = rig.folder / "sound.wav"
    make(path)  # type: ignore[operator]

    assert main(["transcribe", str(finished), str(rig.folder / "dev" / "000.wav"), str(path)]) == 1
    said = sentence(capsys)
    assert said.startswith(str(path))
    assert reason in said


def test_not_a_run_folder(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    assert main(["transcribe", str(rig.folder), str(rig.folder / "dev" / "000.wav")]) == 2
    expected = (
        f"{rig.folder} holds no trained adapter: it is neither a finished run folder nor an adapter folder"
    )
    assert sentence(capsys) == expected


class TestPython:
    """`steermoe_core.load(folder).transcribe(sounds)`."""

    def test_gives_what_the_command_gives(self, rig: Rig, finished: Path) -> None:
        """For paths as text or Path, for waveforms of any float type, mixed."""
        model = steermoe_core.load(finished)
        paths = [rig.folder / "dev" / f"00{number}.wav" for number in range(4)]
        wave = load(paths[2], 16_000)

        found = model.transcribe([str(paths[0]), paths[1], wave, load(paths[3], 16_000).astype(np.float64)])

        assert found == list(texts(finished).values())
        assert model.transcribe([]) == []

    @pytest.mark.parametrize(
        "wave",
        [
            np.zeros((2, 16_000), np.float32),
            np.zeros(0, np.float32),
            np.zeros(16_000, np.int16),
            np.full(16_000, np.nan, np.float32),
            sine(20.5),
        ],
        ids=["stereo", "empty", "whole numbers", "nan", "too long"],
    )
    def test_refuses_other_arrays(self, finished: Path, wave: np.ndarray) -> None:
        """Which one, what it is, what it should be."""
        with pytest.raises(DataError, match=r"^waveform 2 "):
            steermoe_core.load(finished).transcribe([sine(0.5), wave])
