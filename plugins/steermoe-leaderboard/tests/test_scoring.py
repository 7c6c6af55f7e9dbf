"""Outputs with their times, sessions, and figures that equal those of independent code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kaldialign import batch_error_rate

from steermoe_core import DataError, Segment, Transcript
from steermoe_core.evaluate.config import WerConfig
from steermoe_core.evaluate.metrics import Wer
from steermoe_core.evaluate.open_asr import OpenAsrEnglish
from steermoe_leaderboard import manifest
from steermoe_leaderboard.clips import Clip
from steermoe_leaderboard.manifest import Line
from steermoe_leaderboard.scoring import scored, transcribed
from steermoe_leaderboard.sets import SETS
from tests.tiny import write_wav

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np

AMI, EARNINGS = SETS[0], SETS[1]
PAIRS = [
    ("Alan's home page, OK?", "allens homepage okay"),
    ("we met at half past two", "we met at 2:30"),
    ("the quick brown fox", "the quack brown brown fox"),
    ("twenty one people", "21 people uh came"),
    ("it is not here", ""),
]
METRIC = Wer(WerConfig(normalise="open-asr"))


def line(reference: str, output: str, **facts: object) -> Line:
    return Line(
        **{
            "audio_filepath": "x",
            "duration": 2.0,
            "time": 0.5,
            "text": reference,
            "pred_text": output,
            **facts,
        }
    )


class Echo:
    """A model whose output is the number of samples; it remembers its batches."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def transcripts(self, sounds: Iterable[tuple[np.ndarray, int]]) -> Iterator[Transcript | DataError]:
        self.calls.append([len(wave) for wave, rate in sounds if rate == 16_000])
        for length in self.calls[-1]:
            yield Transcript([Segment(0.0, 1.0, str(length), "eos")])


def clips(folder: Path, lengths: Iterable[float]) -> list[Clip]:
    return [
        Clip(name="", audio=write_wav(folder / f"{n}.wav", seconds), text="", seconds=seconds)
        for n, seconds in enumerate(lengths)
    ]


def test_error_rate_is_that_of_the_leaderboard() -> None:
    """The counts are those of kaldialign's batch function, which the leaderboard calls."""
    normalise = OpenAsrEnglish()
    references, outputs = ([tuple(normalise(pair[side]).split()) for pair in PAIRS] for side in (0, 1))
    expected = batch_error_rate(references, outputs, merge_compounds=True)

    found = scored(AMI, [line(*pair) for pair in PAIRS], METRIC)

    assert 0 < expected["err_rate"] < 1
    assert found.wer == round(100 * expected["err_rate"], 2)
    assert (found.insertions, found.deletions, found.substitutions) == tuple(
        expected[kind] for kind in ("ins", "del", "sub")
    )
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.wer <= found.high


def test_speed_is_audio_over_time() -> None:
    """Four decimals, over all clips together."""
    found = scored(AMI, [line("a b", "a b", time=0.3), line("c", "c", duration=5.0)], METRIC)

    assert found.rtfx == round(7.0 / 0.8, 4)
    assert (found.audio_seconds, found.seconds) == (7.0, 0.8)


def test_chunks_are_joined_in_their_order() -> None:
    """A session is one reference; empty outputs leave no double space; times are summed."""
    lines = [
        line("red green blue", " blue ", parent_id="b", chunk_index=10),
        line("red green blue", "red", parent_id="b", chunk_index=2),
        line("red green blue", " ", parent_id="b", chunk_index=3),
        line("good day", "food day", parent_id="a", chunk_index=0),
    ]

    first, second = manifest.sessions(lines)
    found = scored(EARNINGS, lines, METRIC)

    assert (first.audio_filepath, first.pred_text) == ("a", "food day")
    assert (second.pred_text, second.text, second.duration, second.time) == (
        "red blue",
        "red green blue",
        6.0,
        1.5,
    )
    assert (found.clips, found.references, found.deletions, found.wer) == (4, 2, 1, 40.0)


def test_one_session_has_no_interval() -> None:
    """There is nothing to resample."""
    found = scored(EARNINGS, [line("x", "x", parent_id="a", chunk_index=0)], METRIC)

    assert (found.low, found.high) == (None, None)


def test_longest_first_after_a_warm_up(tmp_path: Path) -> None:
    """The warm-up is not part of the outputs; every clip has its share of the time of its batches."""
    model, done = Echo(), []

    lines = transcribed(
        model, clips(tmp_path, (0.2, 0.5, 0.3, 0.4, 0.6)), batch_size=1, warm_up=2, progressed=done.append
    )

    assert model.calls == [[9600, 8000], [9600, 8000, 6400, 4800], [3200]]
    assert [one.pred_text for one in lines] == ["9600", "8000", "6400", "4800", "3200"]
    assert [one.duration for one in lines] == [0.6, 0.5, 0.4, 0.3, 0.2]
    assert [one.audio_filepath for one in lines] == [f"sample_{n}" for n in range(5)]
    assert len({one.time for one in lines[:4]}) == 1
    assert min(one.time for one in lines) > 0
    assert done == pytest.approx([1.8, 0.2])


def test_without_warm_up(tmp_path: Path) -> None:
    """`--warm-up 0` transcribes each clip once."""
    model = Echo()

    transcribed(model, clips(tmp_path, (0.2,)), batch_size=4, warm_up=0)

    assert model.calls == [[3200]]


def test_clip_of_a_few_samples(tmp_path: Path) -> None:
    """It is padded for the model, and keeps its duration."""
    model = Echo()

    (found,) = transcribed(model, clips(tmp_path, (0.01,)), batch_size=4, warm_up=0)

    assert model.calls == [[1600]]
    assert found.duration == 0.01


def test_manifest_is_read_as_written(tmp_path: Path) -> None:
    """Chunks have two fields more; a damaged line is located."""
    lines = [line("ä", "b"), line("c", "d", parent_id="p", chunk_index=0)]
    path = tmp_path / "m.jsonl"
    path.write_text(manifest.text(lines), encoding="utf-8")

    assert manifest.read(path) == lines
    assert path.read_text(encoding="utf-8").splitlines()[0] == (
        '{"audio_filepath": "x", "duration": 2.0, "time": 0.5, "text": "ä", "pred_text": "b"}'
    )
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(Exception, match=r"m\.jsonl:1: not a line of a manifest"):
        manifest.read(path)
