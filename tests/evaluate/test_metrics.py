"""Error rates are micro-averages of jiwer's edits, with nothing capped, stripped or excused."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.errors import SetupError
from steermoe_core.evaluate.config import CerConfig, TokenAccuracyConfig, WerConfig
from steermoe_core.evaluate.metrics import Cer, Metric, TokenAccuracy, Wer, rate, total
from steermoe_core.evaluate.scores import Edits
from tests.predictions import predicted

if TYPE_CHECKING:
    from steermoe_core.evaluate.config import RuleName

WER = Wer(WerConfig())
CER = Cer(CerConfig())
TOKENS = TokenAccuracy(TokenAccuracyConfig())

sentences = st.lists(st.sampled_from(["one", "two", "three", "it's", "a"]), max_size=8).map(" ".join)
said = sentences.filter(bool)
pairs = st.lists(st.tuples(sentences, said), min_size=1, max_size=8)


@given(pairs)
def test_equal_to_jiwer(texts: list[tuple[str, str]]) -> None:
    """The corpus scores are jiwer's, which takes all pairs at once."""
    hypotheses, references = [h for h, _ in texts], [r for _, r in texts]

    assert rate(WER.edits(predicted(h, r)) for h, r in texts) == pytest.approx(
        jiwer.wer(references, hypotheses)
    )
    assert rate(CER.edits(predicted(h, r)) for h, r in texts) == pytest.approx(
        jiwer.cer(references, hypotheses)
    )


@given(sentences, sentences)
def test_edits_fit_the_texts(hypothesis: str, reference: str) -> None:
    """Deletions, insertions and lengths add up; what is equal has no error."""
    edits = WER.edits(predicted(hypothesis, reference))

    assert edits.reference == len(reference.split())
    assert edits.reference - edits.deletions + edits.insertions == len(hypothesis.split())
    assert (edits.errors == 0) == (hypothesis == reference)


def test_the_corpus_is_weighted_by_length() -> None:
    """One wrong word of one and none of nine is a tenth, not a half."""
    edits = [
        WER.edits(predicted("no", "yes")),
        WER.edits(predicted("a b c d e f g h i", "a b c d e f g h i")),
    ]

    assert rate(edits) == pytest.approx(0.1)
    assert total(edits) == Edits(1, 0, 0, 10)


@pytest.mark.parametrize("metric", [WER, CER])
def test_an_empty_reference_counts_what_was_said(metric: Metric) -> None:
    """Each unit said into silence is an insertion, and raises the corpus score."""
    edits = metric.edits(predicted("one two", ""))

    assert edits == Edits(0, 0, edits.insertions, 0)
    assert edits.insertions in {2, 7}
    assert metric.edits(predicted("", "")) == Edits(0, 0, 0, 0)
    assert rate([edits, metric.edits(predicted("one two", "one two"))]) == 1.0


def test_no_reference_word_at_all_is_not_a_number() -> None:
    """A score without a denominator is neither perfect nor anything else."""
    assert math.isnan(rate([]))
    assert math.isnan(rate([WER.edits(predicted("one", ""))]))


@given(st.lists(said, min_size=1), st.sampled_from(["", "zzz", "e", "zzz zzz"]))
def test_constant_answers_gain_nothing(references: list[str], constant: str) -> None:
    """An answer that has nothing to do with the clip is as bad as silence, or worse."""
    assert rate(WER.edits(predicted(constant, reference)) for reference in references) >= 1.0


@given(said, st.integers(1, 20))
def test_repetition_is_not_capped(reference: str, times: int) -> None:
    """An answer that goes on after the transcript pays for each word."""
    edits = WER.edits(predicted(" ".join([reference] * (times + 1)), reference))

    assert edits.errors == times * edits.reference


def test_echo_of_the_prompt_is_not_stripped() -> None:
    """What the model says is what is scored."""
    assert WER.edits(predicted("please transcribe one", "one")).insertions == 2


@pytest.mark.parametrize(
    ("normalise", "errors"),
    [("raw", 2), ("basic", 0), ("whisper-en", 0)],
)
def test_rulers_differ_in_case_and_punctuation(normalise: RuleName, errors: int) -> None:
    """The setting decides whether spelling counts."""
    if normalise == "whisper-en":
        pytest.importorskip("whisper_normalizer")

    assert (
        Wer(WerConfig(normalise=normalise)).edits(predicted("Hello,  WORLD", "hello world")).errors == errors
    )


def test_white_space_is_never_an_error() -> None:
    """Tabs, line breaks and double spaces are single spaces in every ruler."""
    for config in (CerConfig(), CerConfig(normalise="raw")):
        assert Cer(config).edits(predicted("\tone\n two ", "one two")).errors == 0


def test_the_english_ruler_knows_numbers_and_spelling() -> None:
    """Whisper's normaliser makes twenty one 21 and colour color."""
    pytest.importorskip("whisper_normalizer")

    assert (
        Wer(WerConfig(normalise="whisper-en")).edits(predicted("21 colors", "twenty-one colours")).errors == 0
    )


def test_a_missing_normaliser_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is optional; the error names it."""
    monkeypatch.setitem(sys.modules, "whisper_normalizer.english", None)

    with pytest.raises(SetupError, match="pip install whisper-normalizer"):
        Wer(WerConfig(normalise="whisper-en"))


def test_names_tell_the_ruler() -> None:
    """Two rulers of one run do not share a name."""
    assert [Wer(WerConfig()).name, Wer(WerConfig(normalise="raw")).name] == ["wer", "wer-raw"]
    assert [Cer(CerConfig()).name, Cer(CerConfig(normalise="raw")).name] == ["cer", "cer-raw"]


def test_characters_count_spaces() -> None:
    """A missing space is one deletion."""
    assert CER.edits(predicted("onetwo", "one two")) == Edits(0, 1, 0, 7)


ids = st.lists(st.integers(0, 3), max_size=6)


class TestTokenAccuracy:
    """Tokens at the same place, over the longer side."""

    @given(ids, ids)
    def test_is_a_share(self, said: list[int], wanted: list[int]) -> None:
        """Hits and errors make up the longer side; an equal answer has no error, and only that."""
        edits = TOKENS.edits(predicted("", "", ids=said, reference_ids=wanted))

        hits = sum(one == other for one, other in zip(said, wanted, strict=False))
        assert edits.reference == max(len(said), len(wanted))
        assert edits.errors == edits.reference - hits
        assert (edits.errors == 0) == (said == wanted)

    def test_no_token_is_dropped_and_no_padding_counts(self) -> None:
        """The first token is compared with the first; what one side lacks is wrong, not right."""
        edits = TOKENS.edits(predicted("", "", ids=[5, 6, 9, 9], reference_ids=[5, 7]))

        assert edits == Edits(1, 0, 2, 4)
        assert rate([edits], higher_is_better=TOKENS.higher_is_better) == 0.25

    @given(st.lists(ids.filter(bool), min_size=1))
    def test_silence_gains_nothing(self, references: list[list[int]]) -> None:
        """An empty answer has every token wrong."""
        edits = [TOKENS.edits(predicted("", "", reference_ids=wanted)) for wanted in references]

        assert rate(edits, higher_is_better=True) == 0.0
