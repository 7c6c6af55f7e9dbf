"""Intervals hold what they promise, by cluster, repeatably and fast."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.bootstrap import difference, interval
from steermoe_core.evaluate.metrics import rate
from steermoe_core.evaluate.scores import Edits, Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

edits = st.lists(st.builds(Edits, *[st.integers(0, 5)] * 3, st.integers(1, 9)), min_size=2, max_size=30)


@dataclass
class Corpus:
    """Simulated scores: each speaker has an error rate of its own."""

    edits: list[Edits]
    speakers: list[int]


def corpus(seed: int, speakers: int, clips: int, spread: float, mean: float = 0.2) -> Corpus:
    """Draw clips of ten words from speakers whose error rates differ by ``spread``."""
    random = np.random.default_rng(seed)
    rates = np.clip(random.normal(mean, spread, speakers), 0, 1)
    counts = random.binomial(10, np.repeat(rates, clips))
    return Corpus([Edits(int(n), 0, 0, 10) for n in counts], np.repeat(np.arange(speakers), clips).tolist())


def covered(found: Interval | None, truth: float) -> bool:
    """Return whether the interval holds the truth."""
    return found is not None and found.low <= truth <= found.high


@given(edits)
def test_an_interval_is_repeatable_and_in_range(found: list[Edits]) -> None:
    """The same seed gives the same interval, within the range of the examples' own rates."""
    first, again = interval(found, seed=3, draws=200), interval(found, seed=3, draws=200)

    rates = [e.errors / e.reference for e in found]
    assert first is not None
    assert first == again
    assert min(rates) - 1e-9 <= first.low <= first.high <= max(rates) + 1e-9


def test_an_interval_holds_the_score() -> None:
    """On ordinary data the corpus score lies within."""
    found = corpus(0, 100, 1, 0.1)

    assert covered(interval(found.edits), rate(found.edits))


def test_seeds_matter_little() -> None:
    """Another seed moves the ends by a small part of the width."""
    found = corpus(0, 200, 1, 0.1).edits
    one, other = interval(found, seed=1), interval(found, seed=2)

    assert one is not None
    assert other is not None
    assert one != other
    assert one.low == pytest.approx(other.low, abs=0.1 * (one.high - one.low))


def test_equal_examples_have_no_spread() -> None:
    """Where each draw gives the same score the interval is a point."""
    assert interval([Edits(1, 0, 0, 4)] * 9) == Interval(0.25, 0.25)


def test_more_data_narrow_it_as_one_over_root_n() -> None:
    """Sixteen times the clips, a quarter of the width."""
    few, many = (interval(corpus(0, n, 1, 0.0).edits) for n in (100, 1_600))

    assert few is not None
    assert many is not None
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4.0, rel=0.3)


def test_coverage() -> None:
    """Of many simulated corpora, about 95 % have the truth in their interval."""
    hits = [covered(interval(corpus(s, 150, 1, 0.1).edits, seed=s, draws=400), 0.2) for s in range(200)]

    assert 0.90 <= np.mean(hits) <= 0.99


def test_coverage_with_speakers_needs_clusters() -> None:
    """Clips of one speaker err alike: resampled one by one they promise too much, by speaker they do not."""
    drawn = [corpus(s, 40, 20, 0.05) for s in range(150)]
    by_speaker = [covered(interval(c.edits, c.speakers, draws=400), 0.2) for c in drawn]
    by_clip = [covered(interval(c.edits, draws=400), 0.2) for c in drawn]

    assert 0.88 <= np.mean(by_speaker) <= 0.99
    assert np.mean(by_clip) < 0.85


def test_clips_without_a_cluster_stand_alone() -> None:
    """A cluster of None is not one big cluster."""
    found = corpus(0, 50, 1, 0.1).edits

    assert interval(found, [None] * 50) == interval(found)


@pytest.mark.parametrize(
    ("found", "clusters"),
    [
        ([], None),
        ([Edits(1, 0, 0, 2)], None),
        ([Edits(1, 0, 0, 2)] * 3, ["anna"] * 3),
        ([Edits(0, 0, 1, 0)] * 3, None),
    ],
)
def test_nothing_to_resample(found: list[Edits], clusters: list[str] | None) -> None:
    """One speaker, or references without a word, give no interval rather than a false one."""
    assert interval(found, clusters) is None


def test_it_is_fast() -> None:
    """2000 draws of a thousand clips take less than a tenth of a second (best of three)."""
    found = corpus(0, 1_000, 1, 0.1).edits
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        interval(found)
        spent.append(time.perf_counter() - start)

    assert min(spent) < 0.1


def test_memory_is_bounded() -> None:
    """A corpus that does not fit in one chunk of draws has the interval that statistics expects."""
    found = interval(corpus(0, 20_000, 1, 0.0).edits, draws=300)

    assert found is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.16 / 200_000), rel=0.2)


def named(found: list[Edits]) -> dict[str, Edits]:
    """Return the edits by ids."""
    return {f"clip {number}": e for number, e in enumerate(found)}


def test_a_better_system_is_found_by_pairing() -> None:
    """Two systems that differ less than the clips do are told apart, because the clips are the same."""
    first = corpus(0, 100, 1, 0.2).edits
    second = [Edits(max(0, e.substitutions - number % 2), 0, 0, 10) for number, e in enumerate(first)]

    found = difference(named(first), named(second))

    assert found.value == pytest.approx(rate(second) - rate(first))
    assert found.interval is not None
    assert found.interval.high < 0
    assert found.improvement == 1.0
    alone = interval(first), interval(second)
    assert alone[0] is not None
    assert alone[1] is not None
    assert alone[0].low < alone[1].high, "the two intervals by themselves overlap"


def test_where_higher_is_better_the_signs_turn_and_the_odds_do_not() -> None:
    """A system with fewer errors has more hits; its probability of improvement is the same."""
    one, other = named(corpus(1, 60, 1, 0.1).edits), named(corpus(2, 60, 1, 0.1).edits)

    errors, hits = difference(one, other), difference(one, other, higher_is_better=True)

    assert hits.value == pytest.approx(-errors.value)
    assert hits.improvement == errors.improvement
    assert hits.interval is not None
    assert errors.interval is not None
    assert hits.interval.low == pytest.approx(-errors.interval.high)
    assert interval(list(one.values()), higher_is_better=True) == pytest.approx(
        turned(interval(list(one.values())))
    )


def turned(found: Interval | None) -> Interval:
    """Return the interval of one minus the value."""
    assert found is not None
    return Interval(1.0 - found.high, 1.0 - found.low)


def test_the_same_system_is_a_tie() -> None:
    """No difference, and even odds."""
    same = named(corpus(0, 30, 1, 0.1).edits)

    assert difference(same, same).value == 0.0
    assert difference(same, same).interval == Interval(0.0, 0.0)
    assert difference(same, same).improvement == 0.5


def test_exchange_turns_the_sign() -> None:
    """Second against first is the mirror image."""
    one, other = named(corpus(1, 60, 1, 0.1).edits), named(corpus(2, 60, 1, 0.1).edits)

    there, back = difference(one, other), difference(other, one)

    assert there.value == pytest.approx(-back.value)
    assert there.interval is not None
    assert back.interval is not None
    assert there.interval.low == pytest.approx(-back.interval.high)
    assert there.improvement == pytest.approx(1.0 - (back.improvement or 0.0))


def test_the_order_of_files_does_not_matter() -> None:
    """Ids are matched, not lines."""
    one, other = named(corpus(1, 20, 1, 0.1).edits), named(corpus(2, 20, 1, 0.1).edits)

    assert difference(one, other) == difference(dict(reversed(one.items())), other)


def test_clusters_widen_a_difference() -> None:
    """Systems that differ by speaker are less surely apart than clip by clip."""
    one, other = corpus(1, 20, 20, 0.1), corpus(2, 20, 20, 0.1)
    speakers = dict(zip(named(one.edits), one.speakers, strict=True))

    alone = difference(named(one.edits), named(other.edits)).interval
    grouped = difference(named(one.edits), named(other.edits), speakers).interval

    assert alone is not None
    assert grouped is not None
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        ({"a": Edits(0, 0, 0, 2)}, "1 examples are in one run only, such as 'b'"),
        ({"a": Edits(0, 0, 0, 2), "b": Edits(0, 0, 0, 3)}, "1 references differ, such as that of 'b'"),
    ],
)
def test_unlike_evaluations_are_not_compared(second: dict[str, Edits], complaint: str) -> None:
    """Another split or another ruler is an error, not a number."""
    with pytest.raises(UsageError, match=complaint):
        difference({"a": Edits(0, 0, 0, 2), "b": Edits(1, 0, 0, 2)}, second)


def test_accuracies_over_the_longer_side_are_compared() -> None:
    """Another answer is another number of places, and no other ruler."""
    one, other = (
        {"a": Edits(1, 0, 0, 2), "b": Edits(0, 0, 0, 2)},
        {"a": Edits(1, 0, 2, 4), "b": Edits(0, 0, 0, 2)},
    )

    assert difference(one, other, higher_is_better=True).value == pytest.approx(3 / 6 - 3 / 4)


def test_one_cluster_leaves_the_difference_bare() -> None:
    """The value is there, the interval is not."""
    found = difference({"a": Edits(0, 0, 0, 2)}, {"a": Edits(1, 0, 0, 2)})

    assert (found.value, found.interval, found.improvement) == (0.5, None, None)


class TestCorpusScores:
    """A score of other sums than edits is resampled in the same way."""

    @staticmethod
    def share(sums: Sequence[float]) -> float:
        """Return the share of errors."""
        return sums[0] / sums[1] if sums[1] else float("nan")

    @staticmethod
    def rows(edits: Sequence[Edits]) -> list[tuple[int, int]]:
        """Return errors and reference units as statistics."""
        return [(one.errors, one.reference) for one in edits]

    def test_a_rate_written_as_a_corpus_score_is_the_rate(self) -> None:
        """Intervals and differences, with clusters."""
        one, other = corpus(0, 60, 3, 0.2), corpus(1, 60, 3, 0.3)
        first, second = named(one.edits), named(other.edits)
        clusters = dict(zip(first, one.speakers, strict=True))
        sums = [dict(zip(edits, self.rows(list(edits.values())), strict=True)) for edits in (first, second)]

        assert interval(self.rows(one.edits), one.speakers, value=self.share) == interval(
            one.edits, one.speakers
        )
        assert difference(*sums, clusters, value=self.share) == difference(first, second, clusters)

    def test_where_higher_is_better_the_sides_are_turned(self) -> None:
        """The interval is about the score itself; the improvement about what is better."""
        good = {str(n): (9.0, 10.0) for n in range(20)}
        bad = {str(n): (float(n % 5), 10.0) for n in range(20)}

        found = difference(bad, good, higher_is_better=True, value=self.share)

        assert found.value == pytest.approx(0.7)
        assert found.improvement == 1.0
        assert found.verdict(higher_is_better=True) == "better"
        assert interval(list(good.values()), higher_is_better=True, value=self.share) == Interval(0.9, 0.9)

    def test_draws_without_a_score_are_left_out(self) -> None:
        """As those without a reference unit; with nothing but them there is no interval."""
        rows = [(0, 0)] * 5
        assert interval([*rows, (1, 2)], value=self.share) == Interval(0.5, 0.5)
        assert interval(rows, value=self.share) is None
        assert interval([(1, 2)], value=self.share) is None
