"""Clips and transcripts that are not as they should be, in whole runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import soundfile

from steermoe_core.cli.main import main
from tests.rig import sentence, status, texts
from tests.tiny import DIGITS, sine, write_folder, write_wav

if TYPE_CHECKING:
    from tests.rig import Rig


class TestData:
    """Clips and transcripts that are not as they should be."""

    def test_missing_audio(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """A transcript without its file stops the run, unless the share is small enough."""
        (rig.folder / "train" / "003.wav").unlink()

        rig.run(expect=1)

        said = sentence(capsys)
        assert "1 of 10 clips cannot be read" in said
        assert f"{rig.folder / 'train' / '003.wav'}: there is no such audio file" in said
        run = rig.run("data.max_bad=0.1")
        assert json.loads((run / "lock.json").read_text())["data"]["train"]["examples"] == 9

    @pytest.mark.parametrize(
        ("content", "reason"), [(b"rubbish", "cannot be read as audio"), (None, "no samples")]
    )
    def test_unreadable_and_empty_audio(
        self, rig: Rig, content: bytes | None, reason: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The file is named."""
        path = rig.folder / "train" / "003.wav"
        path.write_bytes(content) if content else soundfile.write(path, sine(0.0), 16_000)

        rig.run(expect=1)

        assert f"{path}: " in (said := sentence(capsys))
        assert reason in said

    @pytest.mark.filterwarnings("default")
    def test_audio_without_a_transcript(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """It is named in a warning; the run goes on."""
        write_wav(rig.folder / "train" / "nobody.wav")

        rig.run()

        err = capsys.readouterr().err
        train = rig.folder / "train"
        assert (
            f"warning: {train}: 1 sound files without a row in metadata.csv are not used: nobody.wav\n" in err
        )

    def test_clip_longer_than_the_encoder_takes(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """Training counts it and leaves it out; an evaluation names it in scores.json and under the table."""
        write_folder(rig.folder / "train", DIGITS, [20.5, *[0.5] * 9])
        write_folder(rig.folder / "dev", DIGITS[:4], [0.5, 20.5, 0.5, 0.4])

        run = rig.run()

        shown = capsys.readouterr()
        assert "9 of 10 clips are used" in shown.err
        assert "1 longer than 20 s: 000.wav" in shown.err
        scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())
        assert scores["left_out"] == {"longer than 20 s": ["001.wav"]}
        assert (scores["examples"], scores["data"]["examples"]) == (3, 4)
        assert "dev: 1 left out, longer than 20 s: 001.wav\n" in shown.out

    def test_no_clip_left(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """The filters and their counts are told."""
        run = rig.run("data.min_seconds=5", expect=1)

        assert sentence(capsys).startswith("no clip is left: 0 of 10 clips are used")
        assert status(run)["state"] == "failed"

    def test_missing_split_is_told_before_training(
        self, rig: Rig, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nobody trains for hours to learn that a folder is not there."""
        run = rig.run('data.eval.other.path="nowhere"', expect=1)

        assert sentence(capsys) == f"{rig.folder / 'nowhere'}: there is no such folder"
        assert not (run / "checkpoints").exists()

    def test_split_without_a_clip_is_told_before_training(
        self, rig: Rig, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nor that none of its sound files is there."""
        for path in (rig.folder / "other").glob("*.wav"):
            path.unlink()
        run = rig.run(expect=1)

        said = sentence(capsys)
        assert said.startswith("data.eval.other: none of its 3 clips can be read (")
        assert said.endswith("000.wav: there is no such audio file)")
        assert not (run / "checkpoints").exists()

    def test_test_split_is_not_trained_on(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """Neither where the file says so, nor where the data does."""
        assert main(["run", *rig.words('data.train.split="test"')]) == 2
        assert "a test split is never trained on" in capsys.readouterr().err

        write_folder(rig.folder / "train" / "test", ["nine"])
        write_folder(rig.folder / "train" / "train", ["one"])
        (rig.folder / "train" / "metadata.csv").unlink()
        rig.run(expect=1)
        assert (
            "data.train has 1 clips of a test split (test/000.wav): a test split is never trained on"
            in sentence(capsys)
        )

    def test_batches_of_one(self, rig: Rig) -> None:
        """Nothing needs a second clip."""
        write_folder(rig.folder / "one", ["one"])

        assert (
            status(rig.run('data.train.path="one"', "train.batch_size=1", "evaluate.batch_size=1"))["state"]
            == "finished"
        )

    def test_any_rate_gives_the_same_text(self, rig: Rig) -> None:
        """A 44.1 kHz stereo file is answered like the same sound at 16 kHz mono."""
        write_wav(rig.folder / "dev" / "000.wav", 0.8, rate=44_100, channels=2, hertz=300.0)
        write_wav(rig.folder / "dev" / "001.wav", 0.8, rate=16_000, hertz=300.0)

        found = texts(rig.run())

        assert found["000.wav"] == found["001.wav"]
        assert found["000.wav"] != texts(rig.path(), control="no-audio")["000.wav"]
