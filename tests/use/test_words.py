"""When words are said: the boundaries found around CTC peaks, and which tokens spell which word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from steermoe_core.data.audio.segments import Span
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.model.projectors import Projector
from steermoe_core.use.words import Aligner, _bounded, _level, _spread
from tests.parts import joined

if TYPE_CHECKING:
    from steermoe_core.data.padded import Padded

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

    def test_spread(self) -> None:
        """Without peaks the sound is shared in proportion to letters."""
        found = _spread(["to", "wonder"], _level(bursts((1.0, 3.0)), RATE))
        assert np.array(found) == pytest.approx(np.array([(1.0, 1.6), (1.6, 3.0)]), abs=0.03)


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

    def words(self, aligner: Aligner, text: str, frames: int = 100) -> tuple[list[Any], str]:
        """Return the words of a text that begins at 2 s, in sound without pauses."""
        seconds = frames * self.frame(aligner)
        span = Span(2 * RATE, bursts((0.0, seconds), seconds=seconds), last=True)
        return aligner.words(span, text, torch.zeros(frames, aligner.model.encoder.width))

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
        """They are spread."""
        found, times = self.words(self.aligner(decoder_folder, Spelling()), "one two three", frames=2)
        assert times == "spread"
        assert len(found) == 3

    def test_a_projector_that_hears_none(self, decoder_folder: str) -> None:
        """They are spread."""
        assert self.words(self.aligner(decoder_folder), "one two")[1] == "spread"
