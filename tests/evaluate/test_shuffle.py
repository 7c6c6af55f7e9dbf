"""The control with another clip's audio: nobody keeps their own, and the seed decides who gets whose."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.example import Example
from steermoe_core.errors import DataError
from steermoe_core.evaluate.shuffle import partners


def clips(recordings: list[int], seconds: list[float] | None = None) -> list[Example]:
    """Return examples, by the number of the recording that each is about."""
    lengths = seconds or [1.0 + 0.01 * number for number in recordings]
    return [
        Example(id=f"{place}", audio=Path(f"{number}.wav"), text="", seconds=length)
        for place, (number, length) in enumerate(zip(recordings, lengths, strict=True))
    ]


several = st.lists(st.integers(0, 30), max_size=40).filter(lambda numbers: len(set(numbers)) > 1)


@given(several, st.integers(0, 9))
def test_nobody_keeps_their_own_recording(recordings: list[int], seed: int) -> None:
    """Also where several examples share one; every recording is heard as somebody else's."""
    examples = clips(recordings)

    others = partners(examples, seed)

    assert all(one.audio != other.audio for one, other in zip(examples, others, strict=True))
    assert {other.audio for other in others} == {example.audio for example in examples}


def test_the_seed_decides() -> None:
    """The same everywhere, another one is another draw; the order of the clips has no part in it."""
    examples = clips(list(range(20)))
    found = partners(examples, 1)

    assert partners(examples, 1) == found
    assert partners(examples, 2) != found
    assert partners(examples[::-1], 1) == found[::-1]


def test_partners_are_of_like_length() -> None:
    """Of neighbours in length, so that limits and audio tokens are much the same."""
    seconds = [float(number * 7 % 100) + 1.0 for number in range(100)]
    examples = clips(list(range(100)), seconds)

    off = [abs(a.seconds - b.seconds) for a, b in zip(examples, partners(examples, 3), strict=True)]

    assert max(off) <= 8.0


@pytest.mark.parametrize("recordings", [[1], [1, 1, 1]])
def test_a_single_recording_has_no_other(recordings: list[int]) -> None:
    """An error says so before anything is answered."""
    with pytest.raises(DataError, match="shuffled-audio needs two recordings or more, and this split has 1"):
        partners(clips(recordings), 0)
