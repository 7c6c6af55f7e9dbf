"""Clips are put apart by what is known of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from steermoe_core.data.example import Example
from steermoe_core.errors import UsageError
from steermoe_core.evaluate.labels import groups


def clip(number: int, seconds: float = 1.0, **facts: object) -> Example:
    """Return an example whose audio nobody opens."""
    return Example(id=f"clip-{number}", audio=Path("nowhere.wav"), text="", seconds=seconds, **facts)  # type: ignore[arg-type]


def test_durations_are_thirds() -> None:
    """Named with their limits, from short to long, whatever the clips' order."""
    found = groups(
        [clip(n, seconds) for n, seconds in enumerate((9.0, 1.0, 5.0, 2.0, 8.0, 4.0))], ["duration"]
    )

    assert found == {
        "duration": {"short (to 3.3 s)": [1, 3], "middle (to 6.0 s)": [2, 5], "long (over 6.0 s)": [0, 4]}
    }


def test_labels_speakers_and_parts() -> None:
    """A clip without a label is in none of its groups; numbers are in the order of numbers."""
    clips = [
        clip(0, cluster="ann", split="dev", labels={"snr": "10"}),
        clip(1, cluster="bob", split="test", labels={"snr": "5"}),
        clip(2, cluster="ann", split="dev"),
    ]

    assert groups(clips, ["speaker", "snr", "split"]) == {
        "speaker": {"ann": [0, 2], "bob": [1]},
        "snr": {"5": [1], "10": [0]},
        "split": {"dev": [0, 2], "test": [1]},
    }


def test_unasked_only_what_a_table_has_room_for() -> None:
    """Labels of one value say nothing, and those of thirteen too much; who asks for one gets it."""
    clips = [clip(n, cluster=f"s{n}", split="dev", labels={"sex": "fm"[n % 2]}) for n in range(13)]

    assert list(groups(clips, None)) == ["sex"]
    assert len(groups(clips, ["speaker"])["speaker"]) == 13


def test_an_unknown_label() -> None:
    """What was meant, and what there is."""
    with pytest.raises(
        UsageError, match=r"no clip has the label 'sped'; did you mean \"speed\"\? \(labels: dur"
    ):
        groups([clip(0, labels={"speed": "fast"})], ["sped"])
