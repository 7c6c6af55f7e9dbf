"""Sources have the share of an epoch that their weights say, and nothing comes twice before all came once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.batches import Epochs
from steermoe_core.data.mixing import Mixture, quotas, shuffled
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCHS = [[3, 5, 5, 5, 6, 6, 6], [1, 5, 5, 5, 6, 6, 6], [2, 5, 5, 5, 6, 6, 6]]
weights_of = st.lists(st.floats(0.01, 100.0), min_size=1, max_size=5)


@st.composite
def sources_and_weights(draw):
    """Return the source of each example, in any order, and a weight for each source."""
    weights = draw(weights_of)
    extra = draw(st.lists(st.integers(0, len(weights) - 1), max_size=40))
    return draw(st.permutations([*range(len(weights)), *extra])), weights


@given(weights_of, st.integers(5, 500))
def test_quotas_are_proportional(weights: list[float], total: int) -> None:
    """They add up, none is empty, and each is within one of its exact share where none had to be raised."""
    found = quotas(weights, total)
    exact = np.asarray(weights) / sum(weights) * total

    assert sum(found) == total
    assert min(found) >= 1
    if (exact >= 1).all():
        assert np.abs(found - exact).max() < 1 + 1e-9


@given(sources_and_weights(), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_has_its_shares(drawn, number: int, seed: int) -> None:
    """Each source has its quota in each epoch."""
    sources, weights = drawn

    epoch = Mixture(sources, weights, seed).epoch(number) % len(sources)

    counted = Counter(sources[index] for index in epoch)
    assert [counted[source] for source in range(len(weights))] == quotas(weights, len(sources))
    assert list(epoch) == sorted(epoch)


@given(sources_and_weights(), st.integers(1, 6))
def test_a_source_is_gone_through_before_it_begins_again(drawn, epochs: int) -> None:
    """After any number of epochs no example of a source was seen two times more often than another."""
    sources, weights = drawn
    mixture = Mixture(sources, weights, 1)

    seen = Counter(dict.fromkeys(range(len(sources)), 0))
    seen.update(int(index) for number in range(epochs) for index in mixture.epoch(number) % len(sources))

    for source in range(len(weights)):
        counts = [count for index, count in seen.items() if sources[index] == source]
        assert max(counts) - min(counts) <= 1


@given(sources_and_weights(), st.integers(1, 6))
def test_each_use_of_an_example_has_a_turn_of_its_own(drawn, epochs: int) -> None:
    """The turns of an example are 0, 1, 2, … without a gap, within an epoch as well."""
    sources, weights = drawn
    mixture = Mixture(sources, weights, 1)

    turns: dict[int, list[int]] = {}
    for number in range(epochs):
        for one in mixture.epoch(number).tolist():
            turn, index = divmod(one, len(sources))
            turns.setdefault(index, []).append(turn)

    assert all(found == list(range(len(found))) for found in turns.values())


@given(sources_and_weights(), st.integers(0, 3), st.integers(1, 4))
def test_natural_weights_are_no_weights(drawn, seed: int, size: int) -> None:
    """Sources weighed by their sizes make the very batches that are made without weights."""
    sources, weights = drawn
    natural = [sources.count(source) for source in range(len(weights))]
    seconds = [1.0 + index % 7 for index in range(len(sources))]
    settings = {"limit": size, "bucket": 2, "seed": seed}

    weighed = Epochs(seconds, **settings, sources=sources, weights=natural)

    for number in range(3):
        assert list(weighed.batches(number)) == list(Epochs(seconds, **settings).batches(number))


@given(sources_and_weights(), st.integers(1, 4), st.floats(1.0, 30.0))
def test_batches_by_budget_take_what_the_mixture_gives(drawn, parts: int, budget: float) -> None:
    """Epoch by epoch, up to the clips that complete a step."""
    sources, weights = drawn
    seconds = [1.0 + index % 7 for index in range(len(sources))]
    epochs = Epochs(seconds, budget, 2, 1, costs=seconds, parts=parts, sources=sources, weights=weights)
    mixture = Mixture(sources if weights else [0] * len(sources), weights, 1)

    taken = [clip for number in range(3) for batch in epochs.batches(number) for clip in batch]

    wanted = [clip for number in range(3) for clip in mixture.epoch(number)]
    ahead = len(taken) - len(wanted)
    assert 0 <= ahead < parts
    assert not set(wanted) - set(taken)
    assert len(set(taken)) == len(taken)


def test_the_order_is_the_same_everywhere() -> None:
    """It is written down here: no version or machine may change it."""
    mixture = Mixture([0, 0, 0, 0, 0, 1, 1], [1.0, 6.0], 17)

    assert [(mixture.epoch(number) % 7).tolist() for number in range(3)] == EPOCHS


def test_a_source_without_clips_has_no_share() -> None:
    """When the filters left nothing of a source, its weight cannot be kept."""
    with pytest.raises(DataError, match=r"no clip is left of source 2 of data\.train"):
        Mixture([0, 0], [1.0, 1.0], 17)


@given(st.integers(0, 300), st.integers(0, 9))
def test_an_order_is_a_stable_sort_of_random_numbers(size: int, seed: int) -> None:
    """It is the same with every version of the engine."""
    raw = np.random.Philox(np.random.SeedSequence((seed, 3))).random_raw(size)

    assert shuffled(np.arange(size), seed, 3).tolist() == np.argsort(raw, kind="stable").tolist()
    assert shuffled(np.arange(7), 17, 0).tolist() == [6, 0, 4, 5, 3, 2, 1]


@given(st.lists(st.integers(0, 3), max_size=99))
def test_equal_random_numbers_keep_their_order(raw: list[int]) -> None:
    """Which happens once in many millions of epochs."""

    class Drawn:
        def __init__(self, _: object) -> None: ...

        def random_raw(self, _: int) -> NDArray[np.uint64]:
            return np.array(raw, np.uint64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("numpy.random.Philox", Drawn)
        assert shuffled(np.arange(len(raw)), 0).tolist() == sorted(range(len(raw)), key=raw.__getitem__)


def test_numbers_are_as_small_as_they_can_be() -> None:
    """Four bytes each, until that is not enough."""
    epochs = [Mixture([0] * 2**10, [], 0).epoch(number) for number in (0, 2**21 - 1, 2**21)]

    assert [epoch.dtype for epoch in epochs] == [np.int32, np.int32, np.int64]
    assert [int(epoch[-1]) for epoch in epochs] == [2**10 - 1, 2**31 - 1, 2**31 + 2**10 - 1]
