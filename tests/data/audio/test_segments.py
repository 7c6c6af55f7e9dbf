"""Recordings are cut at pauses: nothing is lost, nothing is too long, and the cut is where it is quietest."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.data.audio.segments import HOPS, PAUSE, SHORTEST, quietest, spans
from tests.tiny import sine

RATE = 1_000
#: Loudness of stretches of 0.1 s, many of them alike, so that equal pauses occur.
LOUDNESS = st.lists(st.sampled_from([0.0, 0.001, 0.1, 0.5]), min_size=1, max_size=120)
LONGEST = st.floats(SHORTEST, 6.0)


def recording(loudness: list[float]) -> np.ndarray:
    """Return noise of changing loudness."""
    noise = np.random.default_rng(5).standard_normal((len(loudness), RATE // 10))
    return (noise * np.array(loudness)[:, None]).astype(np.float32).reshape(-1)


def blocks(wave: np.ndarray, size: int) -> list[np.ndarray]:
    return [wave[start : start + size] for start in range(0, len(wave), size)]


@given(LOUDNESS, LONGEST, st.integers(1, 3_000))
def test_spans_tile_the_recording(loudness: list[float], longest: float, size: int) -> None:
    """In order, without gap or overlap; the last one says so; none is longer than it may be."""
    wave = recording(loudness)

    found = list(spans(blocks(wave, size), RATE, longest))

    np.testing.assert_array_equal(np.concatenate([span.waveform for span in found]), wave)
    assert [span.start for span in found] == np.cumsum([0, *(len(s.waveform) for s in found[:-1])]).tolist()
    assert [span.last for span in found] == [*[False] * (len(found) - 1), True]
    assert max(len(span.waveform) for span in found) <= longest * RATE
    if len(found) > 1:  # what is left over is long enough to be heard
        assert min(len(span.waveform) for span in found) >= PAUSE // 2 * RATE // HOPS


@given(LOUDNESS, LONGEST, st.integers(1, 3_000))
def test_spans_are_the_same_however_it_comes(loudness: list[float], longest: float, size: int) -> None:
    """They depend on the samples, not on the blocks that a decoder hands over."""
    wave = recording(loudness)

    piecewise, whole = (list(spans(b, RATE, longest)) for b in (blocks(wave, size), [wave]))

    assert [(s.start, len(s.waveform)) for s in piecewise] == [(s.start, len(s.waveform)) for s in whole]


@given(LOUDNESS.filter(lambda loudness: len(loudness) >= 10))
@settings(max_examples=50)
def test_the_cut_is_in_the_quietest_part(loudness: list[float]) -> None:
    """No 0.2 s of the second half have less energy than those around the cut."""
    wave = recording(loudness)
    half, hop = len(wave) // 2, RATE // HOPS
    starts = range(half, len(wave) - PAUSE * hop + 1, hop)
    energy = {
        start: float(np.square(wave[start : start + PAUSE * hop], dtype=float).sum()) for start in starts
    }

    begin = quietest(wave, RATE) - PAUSE // 2 * hop

    assert math.isclose(energy[begin], min(energy.values()), rel_tol=1e-9, abs_tol=1e-12)


def test_of_equal_pauses_the_last() -> None:
    """So that silence makes no more spans than it needs."""
    assert quietest(np.zeros(5_000, np.float32), RATE) == 5_000 - PAUSE // 2 * RATE // HOPS


def test_a_pause_is_found() -> None:
    """Speech, 0.3 s of nothing, speech: the cut is inside the pause."""
    wave = np.concatenate([sine(7.0), np.zeros(4_800, np.float32), sine(5.0)])

    first, second = spans([wave], 16_000, 10.0)

    assert 7.0 < len(first.waveform) / 16_000 < 7.3
    assert second.start == len(first.waveform)


def test_what_fits_is_left_whole() -> None:
    """Up to the limit to the sample; and without a limit anything."""
    wave = recording([0.1] * 100)

    assert [len(span.waveform) for span in spans([wave], RATE, 10.0)] == [10_000]
    assert [len(span.waveform) for span in spans([wave], RATE, 9.999)] != [10_000]
    assert [len(span.waveform) for span in spans([wave], RATE, math.inf)] == [10_000]
    assert list(spans([], RATE, 10.0)) == []


@given(LOUDNESS, LONGEST, st.floats(1.0, 12.0), st.integers(1, 3_000))
def test_what_is_left_whole_may_be_longer(
    loudness: list[float], longest: float, whole: float, size: int
) -> None:
    """Up to its own limit a recording is one span; beyond, it is cut as ever."""
    wave = recording(loudness)

    found = list(spans(blocks(wave, size), RATE, longest, whole))

    if len(wave) <= whole * RATE:
        assert [len(span.waveform) for span in found] == [len(wave)]
    else:
        cut = spans([wave], RATE, longest)
        assert [(s.start, len(s.waveform)) for s in found] == [(s.start, len(s.waveform)) for s in cut]


def test_silence_is_known() -> None:
    """What no 16-bit sample could hold; the faintest that one could is a sound."""
    faint = np.full(2_000, 2.0**-15, np.float32)

    assert [span.silent for span in spans([faint], RATE, 10.0)] == [False]
    assert [span.silent for span in spans([faint / 2], RATE, 10.0)] == [True]


class TestSpeech:
    """Where speech is detected: loud samples are speech here."""

    @staticmethod
    def detector(waveform: np.ndarray) -> list[tuple[int, int]]:
        """Return where a waveform is loud."""
        edges = np.flatnonzero(
            np.diff(np.concatenate([[False], np.abs(waveform) > 0.5, [False]]).astype(int))
        )
        return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]

    def found(
        self, *parts: tuple[float, bool], longest: float = 10.0, whole: float | None = None
    ) -> list[tuple[float, float, bool]]:
        """Return start, end and speech of the spans of a recording; noise is where there is no speech."""
        noise = np.random.default_rng(0).uniform(-0.4, 0.4, (len(parts), 100 * RATE)).astype(np.float32)
        wave = np.concatenate(
            [
                np.full(round(seconds * RATE), 0.9, np.float32)
                if loud
                else noise[number, : round(seconds * RATE)]
                for number, (seconds, loud) in enumerate(parts)
            ]
        )
        blocks = np.array_split(wave, 7)
        spans_found = list(spans(iter(blocks), RATE, longest, whole, self.detector))
        assert np.array_equal(np.concatenate([span.waveform for span in spans_found]), wave)
        assert [span.last for span in spans_found] == [False] * (len(spans_found) - 1) + [True]
        assert [span.silent for span in spans_found] == [not span.speech for span in spans_found]
        return [
            (span.start / RATE, (span.start + len(span.waveform)) / RATE, span.speech) for span in spans_found
        ]

    def test_long_pauses_are_spans_of_their_own(self) -> None:
        """But for what stays with the speech next to them; short ones are not cut out."""
        found = self.found((3.0, False), (2.0, True), (1.0, False), (1.0, True), (2.5, False), (1.0, True))
        assert found == [(0, 2.7, False), (2.7, 7.3, True), (7.3, 9.2, False), (9.2, 10.5, True)]

    def test_none_at_all(self) -> None:
        """Spans up to the longest; the end of one may be where speech begins."""
        assert self.found((12.0, False)) == [(0, 9.5, False), (9.5, 12.0, False)]

    def test_a_cut_is_in_the_longest_pause(self) -> None:
        """Of the second half, whatever is quieter."""
        found = self.found(
            (3.0, True), (1.5, False), (2.0, True), (0.5, False), (1.0, True), (0.8, False), (4.0, True)
        )
        assert [end for _, end, _ in found] == [8.4, 12.8]

    def test_without_a_pause(self) -> None:
        """At the quietest point, as without a detector."""
        ((_, end, _), *_) = self.found((14.0, True))
        assert 5.0 <= end <= 10.0

    def test_a_recording_that_fits(self) -> None:
        """Is cut at its long pauses alone."""
        parts = ((4.0, True), (3.0, False), (9.0, True))
        assert self.found(*parts, longest=5.0, whole=20.0) == [
            (0, 4.3, True), (4.3, 6.7, False), (6.7, 16.0, True),
        ]  # fmt: skip
