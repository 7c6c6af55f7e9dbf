"""The scorer scored: answers that know nothing gain nothing, known alignments, other libraries' numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import attrs
import jiwer
import kaldialign
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.evaluate.config import CerConfig, RuleName, WerConfig
from steermoe_core.evaluate.metrics import Cer, Wer
from steermoe_core.evaluate.score import judged, marked, score
from steermoe_core.evaluate.scores import Edits
from tests.predictions import predicted
from tests.tiny import DIGITS

if TYPE_CHECKING:
    import random

    from steermoe_core.evaluate.metrics import Metric

REFERENCES = [
    "please press one to go on",
    "the number you have dialed is not in service",
    "welcome to the home page",
    "thank you for calling",
    "please enter your password",
    "that agent is already logged on",
]
METRICS: list[Metric] = [
    metric
    for name in get_args(RuleName)
    for metric in (Wer(WerConfig(normalise=name)), Cer(CerConfig(normalise=name)))
]
WER = Wer(WerConfig())
texts = st.lists(st.sampled_from([*DIGITS, "a", "it's"]), max_size=9).map(" ".join)


def value(metric: Metric, said: list[str], wanted: list[str]) -> float | None:
    """Return the corpus score."""
    return score(metric, [predicted(one, other) for one, other in zip(said, wanted, strict=True)]).value


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
class TestDegenerateAnswers:
    """No rule rewards an answer that has not heard its clip."""

    def test_right_is_zero(self, metric: Metric) -> None:
        """Else nothing below means anything."""
        assert value(metric, REFERENCES, REFERENCES) == 0.0

    def test_silence_is_all_wrong(self, metric: Metric) -> None:
        """Every unit is missing, and that is all."""
        assert value(metric, [""] * len(REFERENCES), REFERENCES) == 1.0

    @pytest.mark.parametrize("constant", ["zzz", "please", "the", "please press one to go on"])
    def test_a_constant_is_worse_than_any_hearing(self, metric: Metric, constant: str) -> None:
        """Whatever it is, five of six clips do not say it."""
        assert (value(metric, [constant] * len(REFERENCES), REFERENCES) or 0.0) > 0.6

    def test_another_clips_text_is_wrong(self, metric: Metric) -> None:
        """Answers that are all right, but for other clips."""
        assert (value(metric, REFERENCES[1:] + REFERENCES[:1], REFERENCES) or 0.0) > 0.6

    def test_saying_everything_is_worst(self, metric: Metric) -> None:
        """All references joined hold the right one, and pay for the others."""
        everything = [" ".join(REFERENCES)] * len(REFERENCES)

        assert (value(metric, everything, REFERENCES) or 0.0) > 3.0


@pytest.mark.parametrize(
    ("said", "wanted", "edits"),
    [
        ("a b c", "a b c", (0, 0, 0, 3)),
        ("a x c", "a b c", (1, 0, 0, 3)),
        ("a c", "a b c", (0, 1, 0, 3)),
        ("a b x c", "a b c", (0, 0, 1, 3)),
        ("b c d", "a b c", (0, 1, 1, 3)),
        ("x a b", "a b y", (0, 1, 1, 3)),
        ("", "a b", (0, 2, 0, 2)),
        ("a b", "", (0, 0, 2, 0)),
        ("a a a a", "a", (0, 0, 3, 1)),
    ],
)
def test_known_alignments(said: str, wanted: str, edits: tuple[int, ...]) -> None:
    """Substitutions, deletions, insertions and units, counted by hand."""
    assert attrs.astuple(WER.edits(predicted(said, wanted))) == edits


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6))
def test_equal_to_jiwer_and_kaldialign(pairs: list[tuple[str, str]]) -> None:
    """Two libraries that know nothing of each other give the sums of all clips."""
    predictions = [predicted(said, wanted) for said, wanted in pairs]
    found = score(WER, predictions)
    kaldi = kaldialign.batch_error_rate([w.split() for _, w in pairs], [s.split() for s, _ in pairs])

    assert (found.edits.errors, found.edits.reference) == (kaldi["total"], kaldi["ref_len"])
    if found.edits.reference:
        assert found.value == pytest.approx(kaldi["err_rate"])
    if all(wanted for _, wanted in pairs):
        assert found.value == pytest.approx(jiwer.wer([w for _, w in pairs], [s for s, _ in pairs]))


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_clips_changes_no_value(pairs: list[tuple[str, str]], shuffle: random.Random) -> None:
    """A corpus score is a sum."""
    predictions = [predicted(said, wanted) for said, wanted in pairs]
    other = shuffle.sample(predictions, len(predictions))

    for metric in (WER, Wer(WerConfig(normalise="open-asr"))):
        assert score(metric, predictions).edits == score(metric, other).edits


def test_marks_sum_up_to_the_score() -> None:
    """Each line's edits are those that the score adds up, under the metric's own name."""
    rows = marked(
        METRICS, [predicted(one, other) for one, other in zip(REFERENCES[::-1], REFERENCES, strict=True)]
    )

    for metric in METRICS:
        counts = [Edits(*row.edits[metric.name]) for row in rows]
        assert sum(counts, Edits(0, 0, 0, 0)) == score(metric, rows).edits


def test_a_mark_changes_no_score() -> None:
    """Scores are counted from the texts, never from what an older version wrote beside them."""
    row = predicted("one", "two")
    wrong = attrs.evolve(row, edits={"wer": (0, 0, 0, 1)})

    assert judged(METRICS, {"": [wrong]}, seed=0) == judged(METRICS, {"": [row]}, seed=0)


def test_a_score_names_its_rule() -> None:
    """Two rules cannot be taken for one another."""
    scores = judged(METRICS, {"": [predicted("one", "two")], "no-audio": [predicted("", "two")]}, seed=0)

    for some in (scores.metrics, scores.controls["no-audio"]):
        rules = [one.rule for one in some.values() if one.rule]
        assert {rule.name for rule in rules} == set(get_args(RuleName))
        assert all(rule.version and len(rule.sha256) == 64 for rule in rules)
