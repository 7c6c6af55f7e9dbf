"""What cannot be used is left out with its name and reason, or stops the run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.example import Example
from steermoe_core.data.usable import Report, decoded, refuse_tests, usable
from steermoe_core.errors import DataError
from tests.tiny import write_wav

if TYPE_CHECKING:
    from steermoe_core.config.check.test_splits import Table


def clip(name: str, seconds: float = 1.0, split: str | None = None) -> Example:
    """Return an example whose file is nowhere."""
    return Example(id=name, audio=Path(f"{name}.wav"), text=name, seconds=seconds, split=split)


def test_bounds_are_inclusive() -> None:
    """A clip exactly as long as a bound stays."""
    kept, report = usable([clip("a", 0.1), clip("b", 0.09), clip("c", 30.0), clip("d", 30.1)], 0.1, 30.0, 0.0)

    assert [example.id for example in kept] == ["a", "c"]
    assert str(report) == (
        "2 of 4 clips are used (0.5 minutes); 1 shorter than 0.1 s: b; 1 longer than 30 s: d."
    )


def test_unreadable_clips_are_named_with_their_reason() -> None:
    """Below the share that is allowed they are left out."""
    kept, report = usable([clip("a"), clip("b", math.nan)], 0.1, 30.0, max_bad=0.5)

    assert [example.id for example in kept] == ["a"]
    assert "1 cannot be read: b.wav: there is no such audio file" in str(report)


def test_too_many_unreadable_clips_stop_the_run() -> None:
    """The error gives counts, names and what to do."""
    examples = [clip(f"bad{number}", math.nan) for number in range(7)] + [clip("a")] * 13

    with pytest.raises(
        DataError, match=r"7 of 20 clips cannot be read, more than the share 0\.3 .* and 2 more.*fix"
    ):
        usable(examples, 0.1, 30.0, max_bad=0.3)


@pytest.mark.parametrize("examples", [[], [clip("a", 31.0)]])
def test_nothing_left(examples: list[Example]) -> None:
    """An empty set is an error that tells where the clips went."""
    with pytest.raises(DataError, match="no clip is left: 0 of"):
        usable(examples, 0.1, 30.0, 0.0)


@given(st.lists(st.sampled_from([math.nan, 0.05, 1.0, 2.0, 40.0]), min_size=1))
def test_every_clip_is_accounted_for(seconds: list[float]) -> None:
    """Kept and left out are all clips, in their order."""
    examples = [clip(str(number), length) for number, length in enumerate([*seconds, 1.0])]

    kept, report = usable(examples, 0.1, 30.0, max_bad=1.0)

    assert kept == [example for example in examples if 0.1 <= example.seconds <= 30.0]
    assert report.kept == len(kept)
    assert report.seconds == pytest.approx(sum(example.seconds for example in kept))


def test_long_lists_are_cut_in_the_sentence_only() -> None:
    """A report prints five names and keeps all."""
    names = [str(number) for number in range(8)]
    report = Report(total=8, seconds=0.0, left_out={"too loud": names})

    assert str(report) == "0 of 8 clips are used (0.0 minutes); 8 too loud: 0, 1, 2, 3, 4 and 3 more."
    assert report.left_out["too loud"] == names


@pytest.mark.parametrize(
    ("table", "rule"),
    [("train", "a test split is never trained on"), ("validate", "a test split never selects the best step")],
)
def test_test_splits_are_refused(table: Table, rule: str) -> None:
    """One clip of a test split is enough."""
    with pytest.raises(DataError) as caught:
        refuse_tests([clip("a", split="train"), clip("b", split="test")], table)

    assert str(caught.value) == f"data.{table} has 1 clips of a test split (b): {rule}"
    refuse_tests([clip("a"), clip("b", split="dev")], table)


@pytest.mark.parametrize("split", ["test", "test.clean", "Test_other"])
def test_a_test_split_has_test_in_its_name(split: str) -> None:
    """The hub has many names for test splits."""
    with pytest.raises(DataError, match="a test split"):
        refuse_tests([clip("b", split=split)], "train")


def test_a_longer_word_is_no_test() -> None:
    """The four letters inside another word do not make a test split."""
    refuse_tests([clip("b", split="latest"), clip("c", split="train.clean.100")], "train")


def damaged(path: Path) -> Path:
    """Write a sound whose header and end are whole, and whose middle is not."""
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 48_000), 16_000)
    content = bytearray(path.read_bytes())
    content[20_000:40_000] = bytes(20_000)
    path.write_bytes(content)
    return path


def test_a_decode_finds_what_a_header_hides(tmp_path: Path) -> None:
    """A clip that breaks off in the middle is left out with its name, and wrong durations are set right."""
    bad = Example(id="bad", audio=damaged(tmp_path / "bad.flac"), text="a", seconds=3.0)
    long = Example(id="long", audio=write_wav(tmp_path / "a.wav", 0.5), text="b", seconds=40.0)
    fast = attrs.evolve(long, id="fast", speed=2.0)
    calls: list[int] = []

    found = decoded([bad, long, fast], calls.append)

    assert [example.seconds for example in found[1:]] == [0.5, 0.25]
    assert sum(calls) == 2  # two files
    kept, report = usable(found, 0.1, 30.0, max_bad=0.5)
    assert [example.id for example in kept] == ["long", "fast"]
    assert "1 cannot be read" in str(report)
    assert "bad.flac: cannot be read as audio" in str(report)
    assert len(usable([bad], 0.1, 30.0, max_bad=0.0)[0]) == 1
