"""BLEU and chrF from sacrebleu's statistics of each segment.

sacrebleu computes a corpus score from sums of segment statistics, and its own significance tests use the same
private methods.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from steermoe_core import CorpusMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core import Prediction
    from steermoe_sacrebleu.config import BleuConfig, ChrfConfig


class SacreMetric(CorpusMetric):
    """A score of sacrebleu, divided by 100."""

    higher_is_better = True

    def __init__(self, name: str, scorer: Any) -> None:
        self.name = name
        self.scorer = scorer

    def statistics(self, predictions: Sequence[Prediction]) -> Sequence[Sequence[float]]:
        """Return sacrebleu's statistics of each segment."""
        if not predictions:
            return []
        references = list(zip_longest(*(one.accepted for one in predictions)))  # None where there are fewer
        found: Sequence[Sequence[float]] = self.scorer._extract_corpus_statistics(  # noqa: SLF001
            [one.hypothesis for one in predictions], references
        )
        return found

    def value(self, sums: Sequence[float]) -> float:
        """Return the score of a corpus."""
        return float(self.scorer._compute_score_from_stats(list(sums)).score) / 100  # noqa: SLF001

    def details(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return sacrebleu's signature, which reports its settings and version."""
        self.statistics(predictions)  # the signature has the number of references
        return {"signature": str(self.scorer.get_signature())} if predictions else {}


class Bleu(SacreMetric):
    """BLEU."""

    def __init__(self, config: BleuConfig) -> None:
        super().__init__("bleu", BLEU(tokenize=config.tokenize, lowercase=config.lowercase))


class Chrf(SacreMetric):
    """ChrF; with n-grams of words it is called chrF++ and named `chrf++`."""

    def __init__(self, config: ChrfConfig) -> None:
        name = "chrf++" if config.word_order else "chrf"
        super().__init__(name, CHRF(word_order=config.word_order, lowercase=config.lowercase))
