"""Examples in columns are the sequence of the examples, whatever is taken, joined or changed."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.example import Example, at_speeds
from steermoe_core.data.examples import Examples


def clips(*seconds: float, start: int = 0) -> list[Example]:
    """Return examples of some durations."""
    return [
        Example(id=f"{n}", audio=Path(f"{n}.wav"), text=f"text {n}", seconds=one, prompt=f"{n}?")
        for n, one in enumerate(seconds, start)
    ]


def test_a_list_in_columns() -> None:
    """It is equal to the list, and to itself."""
    listed = clips(1.0, 2.0, 3.0)
    examples = Examples.of(listed)

    assert examples == listed
    assert listed == examples
    assert examples != listed[:2]
    assert examples != "abc"
    assert Examples.of(examples) is examples
    assert (len(examples), examples[-1], examples[1:]) == (3, listed[2], listed[1:])
    assert list(reversed(examples)) == listed[::-1]
    assert "3 examples, the first '0'" in repr(examples)
    with pytest.raises(IndexError):
        examples[3]


def test_unknown_durations_are_equal() -> None:
    """As unknown ones of other examples are not."""
    (bad,) = clips(math.nan)

    assert Examples.of([bad]) == [attrs.evolve(bad)]
    assert Examples.of([bad]) != [attrs.evolve(bad, text="other")]


sizes = st.lists(st.integers(0, 5), min_size=1, max_size=4)


@given(sizes, st.lists(st.sampled_from([1.0, 0.9, 2.0]), min_size=1, max_size=3), st.data())
def test_parts_and_speeds(counts: list[int], speeds: list[float], data: st.DataObject) -> None:
    """Sources, speeds and selections give what they give on lists; so does each column."""
    sources = [clips(*[1.5 + n for n in range(count)], start=10 * at) for at, count in enumerate(counts)]
    eager = [
        attrs.evolve(example, source=at)
        for at, one in enumerate(sources)
        for example in at_speeds(one, speeds)
    ]
    lazy = Examples.joined(
        [Examples.of(one).at_speeds(speeds).of_source(at) for at, one in enumerate(sources)]
    )

    assert lazy == eager
    chosen = data.draw(st.lists(st.booleans(), min_size=len(eager), max_size=len(eager)))
    some = lazy.take(np.array(chosen, bool))
    wanted = [example for example, taken in zip(eager, chosen, strict=True) if taken]
    assert some == wanted
    for column in ("id", "text", "prompt", "audio", "source", "speed"):
        assert list(some.values(column)) == [getattr(example, column) for example in wanted]
    assert some.sources.tolist() == [example.source for example in wanted]
    assert some.speeds.tolist() == [example.speed for example in wanted]
    assert list(some.names()) == [(example.source, example.id) for example in wanted]
    lengths = some.derived(
        "",
        ["text", "prompt"],
        lambda texts, prompts: map(len, map("".join, zip(texts, prompts, strict=True))),
    )
    assert lengths.tolist() == [len(example.text) + len(example.prompt or "") for example in wanted]


def test_other_durations() -> None:
    """They are those of the examples and of what is taken from them; the store keeps its own."""
    examples = Examples.of(clips(1.0, 2.0))
    longer = examples.lasting(examples.seconds * 2)

    assert [example.seconds for example in longer] == [2.0, 4.0]
    assert [example.seconds for example in longer.take(np.array([1]))] == [4.0]
    assert [example.seconds for example in examples] == [1.0, 2.0]


def test_an_identity_needs_an_index() -> None:
    """Examples in memory may be any."""
    assert Examples.of(clips(1.0)).identity is None
