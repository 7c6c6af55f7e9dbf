"""Batches are a pure function of durations, settings and seed; no example is lost or seen twice."""

from __future__ import annotations

from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.batches import Epochs, Share, Turns, length_sorted
from steermoe_core.data.example import Example

if TYPE_CHECKING:
    from fractions import Fraction

durations = st.lists(st.floats(0.1, 30.0), min_size=1, max_size=60)
sizes = st.integers(1, 7)
budgets = st.floats(1.0, 120.0)
FIRST = [[4, 9], [2, 7, 3, 8], [0, 5, 6, 1]]
FIRST_OF_STEPS = [[[3, 4], [8, 9]], [[0, 6, 2], [5, 1, 7]]]


def by_size(seconds: list[float], size: int = 4, bucket: int = 3, seed: int = 17) -> Epochs:
    """Return batches of a number of clips."""
    return Epochs(seconds, size, bucket, seed)


def by_budget(seconds: list[float], budget: float, parts: int, bucket: int = 3, seed: int = 17) -> Epochs:
    """Return batches of seconds, dealt to the parts of a step."""
    return Epochs(seconds, budget, bucket, seed, costs=seconds, parts=parts)


def steps(epochs: Epochs, number: int, parts: int) -> list[list[list[int]]]:
    """Return the batches of an epoch, step by step."""
    batches = iter(epochs.batches(number))
    return [list(islice(batches, parts)) for _ in range(epochs.count(number) // parts)]


class TestBySize:
    """`train.batch_size`."""

    @given(durations, sizes, sizes, st.integers(0, 3))
    def test_an_epoch_is_every_example_once(
        self, seconds: list[float], size: int, bucket: int, number: int
    ) -> None:
        """All batches are full but one."""
        epochs = by_size(seconds, size, bucket)

        epoch = list(epochs.batches(number))

        first = number * len(seconds)
        assert sorted(i for batch in epoch for i in batch) == list(range(first, first + len(seconds)))
        assert len(epoch) == epochs.count(number) == -(-len(seconds) // size)
        assert sorted(map(len, epoch), reverse=True)[:-1] == [size] * (len(epoch) - 1)

    def test_the_order_is_the_same_everywhere(self) -> None:
        """It is written down here: no version or machine may change it."""
        assert list(by_size([float(number % 5) for number in range(10)]).batches(0)) == FIRST

    def test_a_batch_holds_clips_of_like_length(self) -> None:
        """With a bucket the padding shrinks; with bucket 1 it does not."""
        seconds = np.random.default_rng(0).uniform(1.0, 20.0, 400).tolist()

        def padding(bucket: int) -> float:
            epoch = by_size(seconds, size=8, bucket=bucket).batches(0)
            padded = sum(len(batch) * max(seconds[i] for i in batch) for batch in epoch)
            return float(1 - sum(seconds) / padded)

        assert padding(1) > 0.35
        assert padding(16) < 0.08

    def test_batches_of_a_window_come_in_random_order(self) -> None:
        """Short clips do not always come first."""
        seconds = [float(number) for number in range(64)]

        firsts = {min(next(by_size(seconds, 8, 8, seed).batches(0))) for seed in range(20)}

        assert len(firsts) > 3


class TestByBudget:
    """`train.batch_seconds` and `train.batch_tokens`, with any number of batches a step."""

    @given(durations, budgets, sizes, sizes, st.integers(1, 5))
    def test_epochs_are_every_example_once(
        self, seconds: list[float], budget: float, bucket: int, parts: int, number: int
    ) -> None:
        """An epoch that does not fill its last step takes the first clips of the next one, and no others."""
        epochs = by_budget(seconds, budget, parts, bucket)

        taken = [clip for epoch in range(number) for batch in epochs.batches(epoch) for clip in batch]

        ahead = len(taken) - number * len(seconds)
        assert 0 <= ahead < parts
        assert len(taken) == len(set(taken))
        assert set(range(number * len(seconds))) <= set(taken)
        assert all(clip < (number + ahead) * len(seconds) for clip in taken)

    @given(durations, budgets, sizes, sizes, st.integers(0, 3))
    def test_the_batches_of_a_step_are_alike(
        self, seconds: list[float], budget: float, bucket: int, parts: int, number: int
    ) -> None:
        """Each has as many clips, and the longest of one is no longer than the next ones of all others."""
        epochs = by_budget(seconds, budget, parts, bucket)
        assert epochs.count(number) % parts == 0

        for step in steps(epochs, number, parts):
            assert len({len(batch) for batch in step}) == 1
            ranks = [[seconds[clip % len(seconds)] for clip in batch] for batch in step]
            rows = list(zip(*ranks, strict=True))
            assert all(max(row) <= min(following) for row, following in pairwise(rows))

    @given(durations, budgets, sizes, sizes)
    def test_only_a_single_clip_exceeds_the_budget(
        self, seconds: list[float], budget: float, bucket: int, parts: int
    ) -> None:
        """Padding counts; and a step that could take one more clip a batch is the last of its window."""
        epochs = by_budget(seconds, budget, parts, bucket)

        for batch in epochs.batches(0):
            padded = len(batch) * max(seconds[clip % len(seconds)] for clip in batch)
            assert padded <= budget or len(batch) == 1

    def test_the_order_is_the_same_everywhere(self) -> None:
        """It is written down here: no version or machine may change it."""
        epochs = by_budget([float(number % 5 + 1) for number in range(10)], budget=10.0, parts=2)

        assert steps(epochs, 0, parts=2) == FIRST_OF_STEPS

    def test_one_cost_for_all_is_a_number_of_clips(self) -> None:
        """As for an encoder that pads every clip to 30 seconds."""
        seconds = [float(number % 5) for number in range(10)]

        assert list(Epochs(seconds, 120.0, 3, 17, costs=[30.0] * 10).batches(0)) == FIRST

    def test_fewer_clips_than_parts(self) -> None:
        """A step then goes over the clips several times; some epochs have no step of their own."""
        epochs = by_budget([1.0, 2.0], budget=9.0, parts=5)

        taken = [[clip for batch in epochs.batches(number) for clip in batch] for number in range(5)]

        assert [len(epoch) for epoch in taken] == [5, 0, 5, 0, 0]
        assert sorted(chain.from_iterable(taken)) == list(range(10))

    @given(durations, budgets, sizes, st.fractions(0, 4))
    def test_total(self, seconds: list[float], budget: float, parts: int, passes: Fraction) -> None:
        """Whole epochs as they are, and of the last one its part."""
        epochs = by_budget(seconds, budget, parts)

        found = epochs.total(passes)

        whole, part = divmod(passes, 1)
        assert found == sum(epochs.count(n) for n in range(whole)) + part * epochs.count(whole)


class TestShare:
    """The batches of one process."""

    @given(durations, sizes, sizes, st.integers(1, 4), st.sampled_from([0.0, 40.0]))
    def test_all_have_as_many(
        self, seconds: list[float], bucket: int, ranks: int, count: int, budget: float
    ) -> None:
        """No batch is lost or seen twice; those of a step go to the processes in turn, epoch after epoch."""
        epochs = by_budget(seconds, budget, ranks, bucket) if budget else by_size(seconds, 3, bucket)

        shares = [list(Share(epochs, count * ranks, rank, ranks)) for rank in range(ranks)]

        assert [len(share) for share in shares] == [count] * ranks
        assert len(Share(epochs, count * ranks, 0, ranks)) == count
        run = chain.from_iterable(epochs.batches(number) for number in range(10**6))
        assert [batch for step in zip(*shares, strict=True) for batch in step] == list(
            islice(run, count * ranks)
        )

    @given(durations, sizes, sizes)
    def test_it_depends_on_nothing_else(self, seconds: list[float], bucket: int, ranks: int) -> None:
        """Two samplers, and one that is read again, give the same batches."""
        share = Share(by_budget(seconds, 40.0, ranks, bucket), 4 * ranks, ranks - 1, ranks)
        other = Share(by_budget(list(seconds), 40.0, ranks, bucket), 9 * ranks, ranks - 1, ranks)

        assert list(share) == list(share) == list(other)[:4]


def test_seeds_and_epochs_differ() -> None:
    """Each seed and each epoch has an order of its own."""
    seconds = [float(number) for number in range(1, 41)]

    def first(seed: int, number: int) -> list[int]:
        batches = by_budget(seconds, 40.0, 2, seed=seed).batches(number)
        return [clip % 40 for batch in batches for clip in batch]

    assert first(1, 0) != first(2, 0)
    assert first(1, 0) != first(1, 1)


@given(st.integers(1, 9), sizes)
def test_examples_know_their_turn(count: int, size: int) -> None:
    """Each pass over the examples has its number."""
    examples = [Example(id=str(n), audio=Path(), text="", seconds=1.0) for n in range(count)]

    taken = [Turns(examples)[number] for batch in Share(by_size([1.0] * count, size), 25) for number in batch]

    assert [example.turn for example in taken] == [place // count for place in range(len(taken))]
    assert {example.id for example in taken[:count]} == {example.id for example in examples}


@pytest.mark.parametrize("seconds", [[], np.zeros(0)])
def test_no_example_is_an_error(seconds: list[float]) -> None:
    """There is no epoch of nothing."""
    with pytest.raises(ValueError, match="no example"):
        by_size(seconds)


@given(durations, sizes)
def test_length_sorted_can_be_undone(seconds: list[float], size: int) -> None:
    """Results of the sorted batches find their way back to the examples' order; the longest come first."""
    ordered, places = length_sorted(seconds, size)
    results = [seconds[i] for batch in ordered for i in batch]

    assert results == sorted(seconds, reverse=True)
    assert [results[place] for place in places] == seconds
    assert all(len(batch) == size for batch in ordered[:-1])
