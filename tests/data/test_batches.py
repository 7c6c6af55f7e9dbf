"""Batches are a pure function of durations, settings and seed; no example is lost or seen twice."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.batches import BucketedBatches, Turns, length_sorted
from steermoe_core.data.example import Example

durations = st.lists(st.floats(0.1, 30.0), min_size=1, max_size=60)
sizes = st.integers(1, 7)
FIRST = [[4, 9], [2, 7, 3, 8], [0, 5, 6, 1]]


def batches(
    seconds: list[float], size: int = 4, bucket: int = 3, seed: int = 17, count: int = 50
) -> BucketedBatches:
    """Return a sampler with some settings."""
    return BucketedBatches(seconds, batch_size=size, bucket=bucket, seed=seed, batches=count)


@given(durations, sizes, sizes, st.integers(0, 3))
def test_an_epoch_is_every_example_once(seconds: list[float], size: int, bucket: int, number: int) -> None:
    """All batches are full but one."""
    sampler = batches(seconds, size, bucket)

    epoch = sampler.epoch(number)

    first = number * len(seconds)
    assert sorted(i for batch in epoch for i in batch) == list(range(first, first + len(seconds)))
    assert len(epoch) == sampler.per_epoch
    assert sorted(map(len, epoch), reverse=True)[:-1] == [size] * (len(epoch) - 1)


@given(durations, sizes, sizes)
def test_a_run_is_its_epochs_in_turn(seconds: list[float], size: int, bucket: int) -> None:
    """The run has as many batches as it was given, whatever an epoch has."""
    sampler = batches(seconds, size, bucket, count=25)

    run = list(sampler)

    assert len(run) == len(sampler) == 25
    epochs = [batch for number in range(25) for batch in sampler.epoch(number)]
    assert run == epochs[:25]


@given(st.integers(1, 9), sizes, st.integers(0, 20))
def test_examples_know_their_turn(count: int, size: int, position: int) -> None:
    """Each pass over the examples has its number, from wherever the run goes on."""
    examples = [Example(id=str(n), audio=Path(), text="", seconds=1.0) for n in range(count)]
    sampler = batches([1.0] * count, size, count=25)

    taken = [Turns(examples)[number] for batch in sampler for number in batch]
    later = [Turns(examples)[number] for batch in sampler.start(position) for number in batch]

    assert [example.turn for example in taken] == [place // count for place in range(len(taken))]
    assert {example.id for example in taken[:count]} == {example.id for example in examples}
    assert later == taken[len(taken) - len(later) :]


@given(durations, sizes, st.integers(0, 30))
def test_any_position_can_be_the_start(seconds: list[float], size: int, position: int) -> None:
    """Going on from a position gives what an uninterrupted run would have given."""
    sampler = batches(seconds, size, count=25)

    assert list(sampler.start(position)) == list(islice(sampler, position, None))


def test_the_order_is_the_same_everywhere() -> None:
    """It is written down here: no version or machine may change it."""
    assert batches([float(number % 5) for number in range(10)], count=3).epoch(0) == FIRST


def test_seeds_and_epochs_differ() -> None:
    """Each seed and each epoch has an order of its own."""
    seconds = [float(number) for number in range(40)]

    assert batches(seconds, seed=1).epoch(0) != batches(seconds, seed=2).epoch(0)
    assert batches(seconds).epoch(0) != batches(seconds).epoch(1)


def test_a_batch_holds_clips_of_like_length() -> None:
    """With a bucket the padding shrinks; with bucket 1 it does not."""
    seconds = np.random.default_rng(0).uniform(1.0, 20.0, 400).tolist()

    def padding(bucket: int) -> float:
        epoch = batches(seconds, size=8, bucket=bucket).epoch(0)
        padded = sum(len(batch) * max(seconds[i] for i in batch) for batch in epoch)
        return float(1 - sum(seconds) / padded)

    assert padding(1) > 0.35
    assert padding(16) < 0.08


def test_batches_of_a_window_come_in_random_order() -> None:
    """Short clips do not always come first."""
    seconds = [float(number) for number in range(64)]

    firsts = {min(batches(seconds, size=8, bucket=8, seed=seed).epoch(0)[0]) for seed in range(20)}

    assert len(firsts) > 3


def test_processes_share_the_run() -> None:
    """Sharded over two processes no batch is lost or seen twice, the smaller one of each epoch included."""
    sampler = batches([float(number) for number in range(10)], size=4, count=12)

    shards = [list(BatchSamplerShard(sampler, 2, process, even_batches=False)) for process in range(2)]

    assert [batch for pair in zip(*shards, strict=True) for batch in pair] == list(sampler)


@pytest.mark.parametrize("seconds", [[], np.zeros(0)])
def test_no_example_is_an_error(seconds: list[float]) -> None:
    """There is no epoch of nothing."""
    with pytest.raises(ValueError, match="no example"):
        batches(seconds)


@given(durations, sizes)
def test_length_sorted_can_be_undone(seconds: list[float], size: int) -> None:
    """Results of the sorted batches find their way back to the examples' order; the longest come first."""
    ordered, places = length_sorted(seconds, size)
    results = [seconds[i] for batch in ordered for i in batch]

    assert results == sorted(seconds, reverse=True)
    assert [results[place] for place in places] == seconds
    assert all(len(batch) == size for batch in ordered[:-1])


def test_length_sorted_takes_a_size_for_each_batch() -> None:
    """The longest clip of a batch says how many there are in it."""
    batches, places = length_sorted([1.0, 8.0, 2.0, 4.0, 1.0, 2.0], lambda longest: int(8 / longest))

    assert batches == [[1], [3, 2], [5, 0, 4]]
    ordered = [clip for batch in batches for clip in batch]
    assert [ordered[place] for place in places] == list(range(6))
