"""When words are said: the boundaries found around CTC peaks, and which tokens spell which word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from steermoe_core.data.audio.segments import Span
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.data.example import Example
from steermoe_core.data.padded import Padded
from steermoe_core.model.joined import Joined
from steermoe_core.model.projectors import Projector
from steermoe_core.use.words import Aligner, _bounded, _level
from tests.parts import QFormer, joined

if TYPE_CHECKING:
    from steermoe_core.data.layout import Batch

RATE = 16_000


def bursts(*times: tuple[float, float], seconds: float = 4.0) -> np.ndarray:
    """Return noise at some times, and next to none elsewhere."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32)
    loud = np.zeros(len(noise), np.float32) + 1e-4
    for start, end in times:
        loud[round(start * RATE) : round(end * RATE)] = 0.2
    return noise * loud


class TestBoundaries:
    """Narrow peaks become the times of whole words."""

    def test_between_pauses(self) -> None:
        """A word is the sound around its peak."""
        spoken = [(0.5, 1.0), (1.2, 1.9), (2.5, 3.0)]
        peaks = [(0.60, 0.64), (1.24, 1.28), (2.60, 2.72)]

        found = _bounded(peaks, _level(bursts(*spoken), RATE))

        assert np.array(found) == pytest.approx(np.array(spoken), abs=0.021)

    def test_without_pauses(self) -> None:
        """They meet at the quietest point shortly before the peak."""
        spoken = [(0.5, 1.18), (1.22, 1.9)]

        (_, end), (start, _) = _bounded([(0.52, 0.56), (1.30, 1.34)], _level(bursts(*spoken), RATE))

        assert end == pytest.approx(1.2, abs=0.03)
        assert start == pytest.approx(1.2, abs=0.03)
        assert end <= start

    def test_the_last_word_ends(self) -> None:
        """A second after its peak at the latest, whatever sounds then."""
        ((start, end),) = _bounded([(0.6, 0.64)], _level(bursts((0.5, 4.0)), RATE))
        assert (start, end) == pytest.approx((0.5, 1.64), abs=0.03)

    @pytest.mark.parametrize("seed", range(5))
    def test_are_in_order(self, seed: int) -> None:
        """Any peaks in any sound: each word has some time, none overlaps another, all are in the sound."""
        chance = np.random.default_rng(seed)
        edges = np.sort(chance.choice(100, 16, replace=False)) / 25
        peaks = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
        sound = bursts(*[(float(a), float(a) + 0.1) for a in chance.uniform(0, 3.9, 5)])

        found = np.array(_bounded(peaks, _level(sound, RATE)))

        assert (found[:, 1] > found[:, 0]).all()
        assert (found[1:, 0] >= found[:-1, 1]).all()
        assert found.min() >= 0
        assert found.max() <= 4.0


class Spelling(Projector):
    """Hears the tokens of the answer one after the other: each in two frames, then a blank in three."""

    ctc = True

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, None]:
        """Not used here."""
        raise NotImplementedError

    def tokens(self, frames: int) -> int:
        return frames

    def emissions(self, frames: Padded, answer: Padded) -> Padded:
        heard = torch.full((1, frames.values.shape[1], 1 + answer.values.shape[1]), -9.0)
        heard[:, :, 0] = -1.0
        for number in range(answer.values.shape[1]):
            heard[:, 5 * number : 5 * number + 2, number + 1] = 0.0
        return frames.holding(heard)


class TestTokens:
    """Words and the tokens that spell them."""

    def aligner(self, folder: str, projector: Projector | None = None, **config: Any) -> Aligner:
        """Return an aligner on the tiny encoder."""
        model = joined(folder)
        if projector is not None:
            model.projector = projector
        settings = AsrConfig(**config)
        collator = AsrCollator(settings, model.decoder.tokenizer, model.encoder.features)
        return Aligner(model, collator)

    def frame(self, aligner: Aligner) -> float:
        """Return the seconds of a frame."""
        return 10 / aligner.model.encoder.frames(10 * RATE)

    def words(self, aligner: Aligner, text: str, frames: int = 100) -> tuple[list[Any], str | None]:
        """Return the words of a text that begins at 2 s, in sound without pauses."""
        seconds = frames * self.frame(aligner)
        sound = bursts((0.0, seconds), seconds=seconds)
        chance = torch.Generator().manual_seed(0)
        row = replace(
            aligner.collator.prompt_batch([sound]),
            features=Padded.stack([torch.randn(frames, aligner.model.encoder.width, generator=chance)]),
        )
        return aligner.words(Span(2 * RATE, sound, last=True), text, row)

    def test_each_word_has_its_own(self, decoder_folder: str) -> None:
        """In the recording's time."""
        aligner = self.aligner(decoder_folder, Spelling())
        found, times = self.words(aligner, "one two three")

        assert times == "ctc"
        assert [one.word for one in found] == ["one", "two", "three"]
        # A word begins before its peak, but not before the end of the last one's.
        frame = self.frame(aligner)
        begins = [2 + 5 * number * frame for number in range(3)]
        assert found[0].start == pytest.approx(begins[0], abs=0.01)
        for one, following, begin in zip(found, found[1:], begins[1:], strict=False):
            assert begin - 3 * frame - 0.01 <= following.start <= begin + 0.01
            assert one.end == following.start

    def test_too_many_for_the_frames(self, decoder_folder: str) -> None:
        """Without an alignment by CTC, attention is asked; the stand-in makes no audio tokens for it."""
        aligner = self.aligner(decoder_folder, Spelling())
        with pytest.raises(NotImplementedError):
            self.words(aligner, "one two three", frames=2)

    @pytest.mark.parametrize("projector", ["linear", "q-former"])
    def test_a_projector_without_a_head(self, decoder_folder: str, projector: str) -> None:
        """All words have times within the sound, also where the number of audio tokens is fixed."""
        aligner = self.aligner(decoder_folder)
        if projector == "q-former":
            aligner.model.projector = QFormer(None, aligner.model.encoder.width, aligner.model.decoder)

        found, times = self.words(aligner, "one two three")

        assert times == "attention"
        assert [one.word for one in found] == ["one", "two", "three"]
        edges = [edge for one in found for edge in (one.start, one.end)]
        assert edges == sorted(edges)
        assert edges[0] >= 2.0
        assert edges[-1] <= 2.0 + 100 * self.frame(aligner) + 0.01

    def test_words_are_where_the_decoder_looks(
        self, decoder_folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A token that looks at audio token 6 is heard there."""
        aligner = self.aligner(decoder_folder)
        places = iter([2, 6, 10])

        def looks(_: object, batch: Batch, audio: Padded) -> torch.Tensor:
            weights = torch.zeros(1, len(batch.answer.rows()[0]) - 1, len(audio.rows()[0]))
            for row, place in zip(weights[0], places, strict=False):
                row[place] = 1.0
            return weights

        monkeypatch.setattr(Joined, "answer_attention", looks)
        tokens = aligner.collator.reference(Example(id="", audio=Path(), text="one two three", seconds=0.0))
        assert len(tokens) == 3
        found, _ = self.words(aligner, "one two three")

        unit = 100 * self.frame(aligner) / aligner.model.projector.tokens(100)
        for word, place in zip(found, (2, 6, 10), strict=True):
            assert word.start <= 2 + place * unit + 0.01
            assert word.end >= 2 + place * unit

    def test_a_decoder_that_shows_nothing(self, decoder_folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """There are no times, and no words."""
        monkeypatch.setattr(Joined, "answer_attention", lambda *_: None)
        assert self.words(self.aligner(decoder_folder), "one two") == ([], None)
