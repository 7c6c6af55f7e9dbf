"""The dataset `pocket-speech`: every key has its effect, and what happens where recordings are missing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

from steermoe_core.errors import SetupError
from steermoe_pocket import debian, synthetic
from steermoe_pocket.clips import RATE
from steermoe_pocket.config import SpeechConfig
from steermoe_pocket.speech import examples
from steermoe_pocket.text import part, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HOUR = 3600


@pytest.fixture(autouse=True)
def _silent_voice(monkeypatch: pytest.MonkeyPatch, in_this_process: None) -> None:
    """Let the voice say half a second of nothing much, at once."""
    monkeypatch.setattr(synthetic, "speak", lambda *_: np.full(RATE // 2, 0.1, np.float32))


def texts(found: Iterable) -> list[str]:
    return [example.text for example in found]


def test_human_speech(share: Path) -> None:
    """Parts are disjoint in their texts, and together they are everything."""
    parts = {
        split: examples(SpeechConfig(share=share, split=split)) for split in ("train", "dev", "test", "all")
    }
    assert len(parts["all"]) == 7 == sum(len(parts[split]) for split in ("train", "dev", "test"))
    assert all(example.split == split for split in ("train", "dev", "test") for example in parts[split])
    assert examples(SpeechConfig(share=share, split="all")) == parts["all"]


def test_numbers_are_written_or_spelled(share: Path) -> None:
    """`numbers` decides how the transcripts have them."""
    written = texts(examples(SpeechConfig(share=share, split="all")))
    told = texts(examples(SpeechConfig(share=share, split="all", numbers="spelled")))
    assert "please press 1 to mute or 22 to exit" in written
    assert told == [spelled(text) for text in written]


def test_speeds_multiply_the_clips(share: Path) -> None:
    """Each clip comes once at each speed, under an id of its own."""
    plain = examples(SpeechConfig(share=share, split="all"))
    found = examples(SpeechConfig(share=share, split="all", speeds=[1.0, 0.5]))
    assert found[:7] == plain
    assert [example.seconds for example in found[7:]] == [2 * example.seconds for example in plain]
    assert len({example.id for example in found}) == 14


def test_hours_and_seed_choose_synthetic_speech() -> None:
    """More hours are more clips of the same row; another seed is another row."""
    some = examples(SpeechConfig(source="synthetic", split="all", hours=20 / HOUR))
    more = examples(SpeechConfig(source="synthetic", split="all", hours=60 / HOUR))
    other = examples(SpeechConfig(source="synthetic", split="all", hours=20 / HOUR, seed=18))
    assert (len(some), len(more)) == (40, 120)
    assert more[:40] == some
    assert texts(other) != texts(some)


def test_no_text_of_one_part_is_in_another() -> None:
    """Not within synthetic speech, and not between it and any recording with the same text."""
    for split in ("train", "dev", "test"):
        found = examples(SpeechConfig(source="synthetic", split=split, hours=60 / HOUR))
        assert {part(text) for text in texts(found)} == {split}


def test_digits_are_composed(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any amount of numbers, from the recordings of their words."""
    monkeypatch.setattr(
        "steermoe_pocket.digits.spell", lambda number: "one hundred" if number % 2 else "twenty two"
    )
    found = examples(SpeechConfig(source="digits", split="all", hours=2 / HOUR, share=share))
    assert {example.text for example in found} <= {"one hundred", "twenty two"}
    assert sum(example.seconds for example in found) == pytest.approx(2, abs=1)


@pytest.mark.parametrize("source", ["human", "digits", "librivox"])
def test_synthetic_speech_stands_in_for_what_is_not_installed(
    source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning says so, and which package would help."""
    with caplog.at_level(logging.WARNING, "steermoe"):
        found = examples(SpeechConfig(source=source, split="test", hours=30 / HOUR, share=tmp_path))
    assert found == examples(SpeechConfig(source="synthetic", split="test", hours=30 / HOUR))
    assert {example.split for example in found} == {"test"}
    (message,) = caplog.messages
    assert f'synthetic speech stands in for "{source}"' in message
    assert "apt-get install" in message


def test_other_synthetic_speech_stands_in_for_several_voices(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where Debian's packages cannot be downloaded. It is not the speech of the source `synthetic`."""

    def call(_command: object, failure: str, **_options: object) -> None:
        msg = f"{failure}: there is no apt-get"
        raise SetupError(msg)

    monkeypatch.setattr(debian, "call", call)
    monkeypatch.setattr(debian.os, "geteuid", lambda: 1000)
    found = examples(SpeechConfig(source="voices", hours=30 / HOUR))
    assert found == examples(SpeechConfig(source="synthetic", hours=30 / HOUR, seed=18))
    (message,) = caplog.messages
    assert 'synthetic speech stands in for "voices"' in message
    with pytest.raises(SetupError, match="there is no apt-get"):
        examples(SpeechConfig(source="voices", fallback="none"))


@pytest.mark.parametrize("source", ["human", "digits", "librivox"])
def test_without_fallback_missing_recordings_stop_the_run(source: str, tmp_path: Path) -> None:
    """The error names the package."""
    with pytest.raises(SetupError, match="apt-get install"):
        examples(SpeechConfig(source=source, split="test", share=tmp_path, fallback="none"))


@pytest.mark.parametrize("split", ["train", "dev"])
def test_librivox_is_never_trained_on(split: str) -> None:
    """Five sentences are for the test alone."""
    with pytest.raises(ValueError, match="for tests only"):
        SpeechConfig(source="librivox", split=split)


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "tv"},
        {"split": "half"},
        {"hours": 0.0},
        {"seed": -1},
        {"fallback": "x"},
        {"numbers": "x"},
        {"speeds": []},
    ],
)
def test_values_out_of_range_are_refused(wrong: dict) -> None:
    """Before anything is prepared."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SpeechConfig(**wrong)
