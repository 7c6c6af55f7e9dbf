"""Frames that are kept: the numbers of a run that computes them, from whichever run they come."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
import torch

from steermoe_core.component import Selection
from steermoe_core.data.audio.features import Kept
from steermoe_core.data.audio.stored import Segment
from steermoe_core.data.audio.waveform import load
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.padded import Padded
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.errors import DataError, SetupError
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.model.config import LinearConfig, PoolConfig
from steermoe_core.model.projectors import LinearProjector
from steermoe_core.run.training import frames as frames_module
from steermoe_core.run.training.frames import FrameStore
from steermoe_core.testing.parts import TinyEncoder as Divisible
from tests.misbehaving import full
from tests.parts import TinyConfig, TinyEncoder, decoder, joined, steering
from tests.rig import metrics, sentence, texts, trained
from tests.tiny import write_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.model.adapter import Adapter
    from tests.rig import Rig

    Store = Callable[..., FrameStore]

QUICK = ("train.save_every=0", "evaluate.controls=[]", "evaluate.probes=false", "train.steps=4")
UNTOUCHED = ('adapter={use="none"}', 'projector={use="linear", start="ridge"}', *QUICK)
UPPER = ('adapter={use="steering", experts=3, start=0.5, layers=[1, 2]}', *QUICK)
KEPT = "train.keep_frames=true"


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    """Return the folder of the frames that a test keeps."""
    return own_cache / "frames"


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Return four clips."""
    return read_folder(FolderConfig(path=write_folder(tmp_path / "clips", ["one", "two", "three", "four"])))


@pytest.fixture
def store(decoder_folder: str) -> Callable[..., FrameStore]:
    """Return a function that returns a store of a tiny encoder; its weights are changed by a factor."""

    def make(by: float = 1.0, *, dtype: str = "float32", first: int = 0, pool: int = 0, **settings: int):
        encoder = TinyEncoder(TinyConfig())
        for parameter in encoder.parameters():
            parameter.data *= by
        adapter: Adapter = steering(encoder, layers=[first]) if first else NoAdapter()
        pooling = PoolConfig(kind="avg", kernel=pool) if pool else PoolConfig(kind="none")
        projector = LinearProjector(LinearConfig(pool=pooling), encoder.width, decoder(decoder_folder))
        model = joined(decoder_folder, adapter, projector, encoder)
        return FrameStore(model, Selection("encoder", "tiny", TinyConfig(**settings)), "fingerprint", dtype)

    return make


def collator(of: FrameStore, weights: str) -> Collator:
    """Return a collator on the encoder."""
    return AsrCollator(AsrConfig(), decoder(weights).tokenizer, of.encoder.features, of.encoder.sample_rate)


def size(of: FrameStore) -> int:
    """Return the bytes of all kept frames."""
    return sum(file.stat().st_size for file in of.folder.glob("*.frames"))


def losses(run: Path) -> list[float]:
    """Return the loss of each step."""
    return [line["loss"] for line in metrics(run)]


class TestRun:
    """`train.keep_frames`."""

    @pytest.mark.parametrize("sets", [UNTOUCHED, UPPER], ids=["none", "upper"])
    def test_the_next_run_does_without_the_lower_encoder(
        self, sets: tuple[str, ...], rig: Rig, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It reads what the first one kept, trains to the same bytes, and answers the same.

        The losses are those of a run that computes the frames, to rounding: a clip is encoded by itself
        rather than with its batch.
        """
        first = rig.run(*sets, KEPT)
        assert losses(first) == pytest.approx(losses(rig.run(*sets)), abs=1e-5)
        files, before, said = list(cache.glob("tiny-*/*")), trained(first), texts(first)
        shutil.rmtree(first)
        monkeypatch.setattr(FrameStore, "_encoded", None)

        again = rig.run(*sets, KEPT)

        assert list(cache.glob("tiny-*/*")) == files
        assert trained(again) == before
        assert texts(again) == said

    def test_an_encoder_that_is_steered_from_its_first_layer_is_computed(
        self, rig: Rig, cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The run says so, keeps nothing, and is the run that it is without the key."""
        kept = rig.run(*QUICK, KEPT)

        assert "no frames are kept: an adapter changes the encoder" in capsys.readouterr().err
        assert not cache.exists()
        assert trained(kept) == trained(rig.run(*QUICK))

    def test_an_encoder_that_cannot_begin_at_a_layer_is_computed(
        self, rig: Rig, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The run names the layer."""
        monkeypatch.setattr(Divisible, "divisible", False)

        rig.run(*UPPER, KEPT)

        assert (
            "an adapter changes layer 1 of the encoder, which cannot begin there" in capsys.readouterr().err
        )
        assert not cache.exists()

    def test_a_damaged_shard_is_named(
        self, rig: Rig, cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With the sentence that says what to do; nothing is trained on it."""
        shutil.rmtree(rig.run(*UNTOUCHED, KEPT))
        for file in cache.glob("tiny-*/*.frames"):
            file.write_bytes(bytes(file.stat().st_size))

        rig.run(*UNTOUCHED, KEPT, expect=1)

        assert "is damaged" in (told := sentence(capsys))
        assert told.endswith("delete that file and run again")

    def test_a_cache_without_room_is_named(
        self, rig: Rig, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The run folder has nothing to do with it."""
        opened = Path.open
        monkeypatch.setattr(
            Path,
            "open",
            lambda self, *how, **named: (full if cache in self.parents else opened)(self, *how, **named),
        )

        rig.run(*UNTOUCHED, KEPT, expect=1)

        said = sentence(capsys)
        assert said.startswith(str(cache))
        assert said.endswith(
            "; make room on its disk, then run the same command, or set STEERMOE_CACHE to another folder"
        )


class TestStore:
    """Whose frames they are."""

    @pytest.mark.parametrize("kind", [{}, {"first": 2}, {"pool": 3}])
    def test_frames_are_the_encoders(
        self, kind: dict[str, int], store: Store, examples: list[Example], decoder_folder: str
    ) -> None:
        """Of each wanted clip those that it has alone; other clips stay as they are."""
        frames = store(**kind)
        faster = attrs.evolve(examples[0], speed=3.0, seconds=examples[0].seconds / 3.0)
        given = [*examples, faster]

        found = frames.keep(given, [0, 2, 4], collator(frames, decoder_folder))

        assert [isinstance(example.audio, Kept) for example in found] == [True, False, True, False, True]
        for number in (0, 2, 4):
            batch = collator(frames, decoder_folder).collate([given[number]])
            (alone,) = frames._frames(batch.features).rows()
            assert found[number].audio.frames().equal(alone)
        assert len(found[0].audio.frames()) >= len(found[4].audio.frames())

    def test_nothing_is_decoded_for_what_is_stored(
        self, store: Store, examples: list[Example], decoder_folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A clip is known by its place and the state of its file; one whose file has changed is encoded."""
        frames, heard = store(), []
        encoded = collator(frames, decoder_folder)
        frames.keep(examples, range(4), encoded)
        heard_by = encoded.collate
        monkeypatch.setattr(
            encoded, "collate", lambda some, **how: heard.extend(some) or heard_by(some, **how)
        )

        frames.keep(examples, range(4), encoded)
        assert not heard

        os.utime(examples[2].audio, (1, 1))
        frames.keep(examples, range(4), encoded)
        assert heard == [examples[2]]

    def test_a_clip_inside_another_file_is_known_by_its_place(
        self, store: Store, examples: list[Example], decoder_folder: str
    ) -> None:
        """Two spans of a file are two clips."""
        frames = store()
        spans = [
            attrs.evolve(examples[0], audio=Segment(examples[0].audio, 0.0, length), seconds=length)
            for length in (0.1, 0.2, 0.1)
        ]

        found = frames.keep(spans, range(3), collator(frames, decoder_folder))

        assert [example.audio.stored.rows for example in found] == [1, 2, 1]
        assert found[0].audio.stored == found[2].audio.stored

    def test_rounded_frames_are_encoded_together(
        self, store: Store, examples: list[Example], decoder_folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Clips of similar length; each has the numbers that it has alone, to the precision of bf16."""
        monkeypatch.setattr(frames_module, "_TOGETHER", 2.5 * max(e.seconds for e in examples))
        exact, rounded = store(), store(dtype="bfloat16")
        sizes = []
        monkeypatch.setattr(
            rounded,
            "_encoded",
            lambda features: sizes.append(len(features)) or FrameStore._encoded(rounded, features),
        )

        alone = exact.keep(examples, range(4), collator(exact, decoder_folder))
        found = rounded.keep(examples, range(4), collator(rounded, decoder_folder), workers=1)

        assert sizes == [2, 2]
        assert size(exact) == 2 * size(rounded)
        for one, other in zip(alone, found, strict=True):
            assert other.audio.frames().dtype is torch.bfloat16
            torch.testing.assert_close(
                one.audio.frames().bfloat16(), other.audio.frames(), rtol=0.03, atol=0.03
            )

    def test_a_group_that_was_half_stored_is_formed_again(
        self, store: Store, examples: list[Example], decoder_folder: str
    ) -> None:
        """The numbers of the missing clips are those that they would have had without the interruption."""
        frames = store(dtype="bfloat16")
        whole = [
            e.audio.frames().clone()
            for e in frames.keep(examples, range(4), collator(frames, decoder_folder))
        ]
        (index,) = frames.folder.glob("*.index")
        index.write_bytes(index.read_bytes()[: 2 * 56 + 17])

        again = frames.keep(examples, range(4), collator(frames, decoder_folder))

        assert len(list(frames.folder.glob("*.index"))) == 2
        assert all(e.audio.frames().equal(one) for e, one in zip(again, whole, strict=True))

    def test_the_processes_of_a_run_share_the_work(
        self, store: Store, examples: list[Example], decoder_folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each encodes its share; all read the same shards, and one that cannot see them says so."""
        frames, others = store(), []

        def keep(rank: int) -> Sequence[Example]:
            monkeypatch.setattr(frames_module.ranks, "rank", lambda: rank)
            return frames.keep(examples, range(4), collator(frames, decoder_folder))

        def gathered(own: dict[int, str]) -> list[dict[int, str]]:
            others.append(own)
            return [others[0], own]

        monkeypatch.setattr(frames_module.ranks, "world", lambda: 2)
        monkeypatch.setattr(frames_module.ranks, "gathered", gathered)

        first = keep(0)
        both = keep(1)

        assert [len(own) for own in others] == [2, 2]
        assert sum(isinstance(e.audio, Kept) for e in first) == 2
        assert all(isinstance(e.audio, Kept) for e in both)
        shutil.rmtree(frames.folder)
        with pytest.raises(SetupError, match="set STEERMOE_CACHE to a folder that all machines share"):
            keep(1)

    def test_the_clip_is_still_heard(
        self, store: Store, examples: list[Example], decoder_folder: str
    ) -> None:
        """Whoever asks for sound gets it."""
        frames = store()
        (found, *_) = frames.keep(examples, [0], collator(frames, decoder_folder))[:]

        rate = frames.encoder.sample_rate
        assert np.array_equal(load(found.audio, rate), load(examples[0].audio, rate))
        assert found.audio.seconds() == pytest.approx(examples[0].seconds)
        assert found.audio.file == examples[0].audio
        assert str(found.audio) == str(examples[0].audio)

    def test_equal_encoders_share_them(self, store: Store) -> None:
        """Other settings are another folder, and so is whatever computes other numbers."""
        assert store().folder == store().folder
        others = [
            store(by=1.0001),
            store(layers=2),
            store(dtype="bfloat16"),
            store(pool=2),
            store(first=1),
            store(first=2),
        ]
        assert len({store().folder, *(one.folder for one in others)}) == 7

    def test_padding_that_a_lone_clip_has_is_kept(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where layers compute on windows of fixed length; lengths are those of the clip."""
        given = TinyEncoder.features
        monkeypatch.setattr(TinyEncoder, "features", lambda self, waves: windows(given(self, waves)))
        frames = store(first=1)

        rows, lengths = frames._encoded(frames.encoder.features([np.zeros(3200, np.float32)]))

        assert [len(row) for row in rows] == [60]
        assert lengths == [2]

    def test_a_clip_that_cannot_be_read_is_named(
        self, store: Store, examples: list[Example], decoder_folder: str
    ) -> None:
        """As it is without the store."""
        frames = store()
        examples[1].audio.write_bytes(b"nothing")

        with pytest.raises(DataError, match=examples[1].audio.name):
            frames.keep(examples, [1], collator(frames, decoder_folder))


def windows(features: Padded) -> Padded:
    """Pad features to 60 frames."""
    missing = 60 - features.values.shape[1]
    return Padded(torch.nn.functional.pad(features.values, (0, 0, 0, missing)), features.lengths)
