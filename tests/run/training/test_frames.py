"""Frames that are kept: the numbers of a run that computes them, from whichever run they come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest

from steermoe_core.component import Selection
from steermoe_core.data.audio.features import Kept
from steermoe_core.data.audio.waveform import load
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.errors import DataError
from steermoe_core.run.training.frames import FrameStore
from tests.misbehaving import full
from tests.parts import TinyConfig, TinyEncoder, decoder
from tests.rig import metrics, sentence, texts, trained
from tests.tiny import write_folder

if TYPE_CHECKING:
    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from tests.rig import Rig

UNTOUCHED = ('adapter={use="none"}', 'projector={use="linear", start="ridge"}', "train.save_every=0")
KEPT = "train.keep_frames=true"


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    """Return the folder of the frames that a test keeps."""
    return own_cache / "frames"


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Return four clips."""
    return read_folder(FolderConfig(path=write_folder(tmp_path / "clips", ["one", "two", "three", "four"])))


def store(by: float = 1.0, **settings: int) -> FrameStore:
    """Return the frames of a tiny encoder that computes something else by a factor in its weights."""
    encoder = TinyEncoder(TinyConfig())
    for parameter in encoder.parameters():
        parameter.data *= by
    return FrameStore(encoder, Selection("encoder", "tiny", TinyConfig(**settings)), "fingerprint")


def collator(of: FrameStore, weights: str) -> Collator:
    """Return a collator on the encoder."""
    return AsrCollator(AsrConfig(), decoder(weights).tokenizer, of.encoder.features, of.encoder.sample_rate)


class TestRun:
    """`train.keep_frames`."""

    def test_the_next_run_does_without_the_encoder(
        self, rig: Rig, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It reads what the first one kept, trains to the same bytes, and answers the same."""
        first = rig.run(*UNTOUCHED, KEPT)
        assert len(list(cache.glob("tiny-*/*.safetensors"))) == 10
        before, said = trained(first), texts(first)
        shutil.rmtree(first)
        monkeypatch.setattr(FrameStore, "_encoded", None)

        again = rig.run(*UNTOUCHED, KEPT)

        assert trained(again) == before
        assert texts(again) == said

    def test_numbers_are_those_of_a_run_that_computes_them(self, rig: Rig) -> None:
        """To rounding: a clip is encoded by itself rather than with its batch."""
        kept, computed = metrics(rig.run(*UNTOUCHED, KEPT)), metrics(rig.run(*UNTOUCHED))

        assert [line["loss"] for line in kept] == pytest.approx([line["loss"] for line in computed], abs=1e-5)

    def test_a_steered_encoder_is_computed(
        self, rig: Rig, cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The run says so, keeps nothing, and is the run that it is without the key."""
        kept = rig.run(KEPT)

        assert "no frames are kept: an adapter changes the encoder" in capsys.readouterr().err
        assert not cache.exists()
        assert trained(kept) == trained(rig.run())

    def test_a_damaged_file_is_named(self, rig: Rig, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With the sentence that says what to do; nothing is trained on it."""
        shutil.rmtree(rig.run(*UNTOUCHED, KEPT))
        for file in cache.glob("tiny-*/*.safetensors"):
            file.write_bytes(b"half")

        rig.run(*UNTOUCHED, KEPT, expect=1)

        assert "cannot be read" in (told := sentence(capsys))
        assert told.endswith("delete the file and run again")

    def test_a_cache_without_room_is_named(
        self, rig: Rig, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The run folder has nothing to do with it."""
        monkeypatch.setattr(Path, "write_bytes", full)

        rig.run(*UNTOUCHED, KEPT, expect=1)

        said = sentence(capsys)
        assert said.startswith(str(cache))
        assert said.endswith(
            "; make room on its disk, then run the same command, or set STEERMOE_CACHE to another folder"
        )


class TestStore:
    """Whose frames they are."""

    def test_frames_are_the_encoders(self, examples: list[Example], decoder_folder: str) -> None:
        """Of each wanted clip those that it has alone; other clips stay as they are."""
        frames = store()
        faster = attrs.evolve(examples[0], speed=3.0, seconds=examples[0].seconds / 3.0)
        given = [*examples, faster]

        found = frames.keep(given, [0, 2, 4], collator(frames, decoder_folder))

        assert [isinstance(example.audio, Kept) for example in found] == [True, False, True, False, True]
        for number in (0, 2, 4):
            batch = collator(frames, decoder_folder).collate([given[number]])
            alone = frames.encoder(batch.features).rows()[0]
            assert found[number].audio.frames().equal(alone)
        assert len(found[0].audio.frames()) > len(found[4].audio.frames())

    def test_the_clip_is_still_heard(self, examples: list[Example], decoder_folder: str) -> None:
        """Whoever asks for sound gets it."""
        frames = store()
        (found, *_) = frames.keep(examples, [0], collator(frames, decoder_folder))

        rate = frames.encoder.sample_rate
        assert np.array_equal(load(found.audio, rate), load(examples[0].audio, rate))
        assert found.audio.seconds() == pytest.approx(examples[0].seconds)
        assert found.audio.file == examples[0].audio
        assert str(found.audio) == str(examples[0].audio)

    def test_equal_encoders_share_them(self) -> None:
        """Other settings are another folder, and so is whatever computes other numbers."""
        assert store().folder == store().folder
        assert store(by=1.0001).folder != store().folder
        assert store(layers=2).folder != store().folder

    def test_a_clip_that_cannot_be_read_is_named(self, examples: list[Example], decoder_folder: str) -> None:
        """As it is without the store."""
        frames = store()
        examples[1].audio.write_bytes(b"nothing")

        with pytest.raises(DataError, match=examples[1].audio.name):
            frames.keep(examples, [1], collator(frames, decoder_folder))
