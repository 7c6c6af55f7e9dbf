"""Scores of predictions from counts that can be summed and resampled.

The score of a `Metric` is a micro-average: all edits over all reference units, or one minus that where higher
is better. A `CorpusMetric` computes its score from other sums. No hypothesis is cut, stripped or substituted:
each word too many is an insertion, also where the reference is empty.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import attrs
import jiwer
import kaldialign

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.rules import Rule, named, rule
from steermoe_core.evaluate.scores import Edits
from steermoe_core.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from steermoe_core.evaluate.config import CerConfig, TokenAccuracyConfig, WerConfig
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.system.records import Json


@attrs.frozen
class Units:
    """What an error rate counts, in the order of the text.

    :param reference: words or characters of the reference, in the form that is compared.
    :param hypothesis: likewise of the answer.
    :param between: separator of two units of a text: a space, or nothing.
    """

    reference: Sequence[str]
    hypothesis: Sequence[str]
    between: str


class Metric(ABC):
    """A metric, as a `metric` component builds it.

    :ivar name: of the score in tables and files.
    :ivar higher_is_better: the score is one minus the errors over the reference units, not that rate itself.
    :ivar rule: what is done to both texts before they are compared; None where there is no rule.
    """

    name: str
    higher_is_better: bool = False
    rule: Rule | None = None

    @abstractmethod
    def edits(self, prediction: Prediction) -> Edits:
        """Return the edits of one example; all zero where the metric does not judge it."""

    def units(self, prediction: Prediction) -> Units | None:  # noqa: ARG002 - most have none
        """Return the units of one example to align; None where answers are judged as a whole."""
        return None

    def details(self, predictions: Sequence[Prediction]) -> Json:  # noqa: ARG002 - most have none
        """Return further figures of a split, as plain JSON values for scores.json."""
        return {}


class CorpusMetric(Metric):
    """A metric whose score is not a rate of edits: BLEU, chrF, CIDEr and others of a whole corpus.

    Each example has statistics, a fixed number of figures. The score is a function of their sums over a
    split; intervals and differences are resampled by drawing examples and summing again. A score that is
    usually given in percent is divided by 100, as error rates are.

    :ivar higher_is_better: whether a higher score is better.
    """

    @abstractmethod
    def statistics(self, predictions: Sequence[Prediction]) -> Sequence[Sequence[float]]:
        """Return the statistics of each example, in the order of the predictions.

        They may depend on the references of all examples, as document frequencies do, but on no hypothesis of
        another example.
        """

    @abstractmethod
    def value(self, sums: Sequence[float]) -> float:
        """Return the score of a corpus from the sums of its statistics; nan where it has none."""

    def edits(self, prediction: Prediction) -> Edits:  # noqa: ARG002 - there is nothing to count
        """Return no edits: the examples are judged together."""
        return Edits(0, 0, 0, 0)


class Wer(Metric):
    """Word error rate; its name includes the rule where that is not the default: `wer`, `wer-open-asr`.

    Under `zh` it is the mixed error rate, of Han characters and of words in other letters.
    """

    rule: Rule

    def __init__(self, config: WerConfig) -> None:
        self.name = named("wer", config.normalise)
        self.rule = rule(config.normalise)

    def edits(self, prediction: Prediction) -> Edits:
        """Return the word edits of one example."""
        reference, hypothesis = map(self.rule.normalise, (prediction.reference, prediction.hypothesis))
        if self.rule.compounds:
            return _joining(reference.split(), hypothesis.split())
        return _edits(jiwer.process_words(reference, hypothesis))

    def units(self, prediction: Prediction) -> Units:
        """Return the words of both sides."""
        reference, hypothesis = map(self.rule.normalise, (prediction.reference, prediction.hypothesis))
        return Units(reference.split(), hypothesis.split(), " ")


class Cer(Metric):
    """Character error rate, named as the word error rate; the rule decides whether a space is a character."""

    rule: Rule

    def __init__(self, config: CerConfig) -> None:
        self.name = named("cer", config.normalise)
        self.rule = rule(config.normalise)

    def edits(self, prediction: Prediction) -> Edits:
        """Return the character edits of one example."""
        reference, hypothesis = map(self.rule.characters, (prediction.reference, prediction.hypothesis))
        return _edits(jiwer.process_characters(reference, hypothesis))

    def units(self, prediction: Prediction) -> Units:
        """Return the characters of both sides."""
        reference, hypothesis = map(self.rule.characters, (prediction.reference, prediction.hypothesis))
        return Units(list(reference), list(hypothesis), "")


class TokenAccuracy(Metric):
    """Share of places at which answer and reference have the same token, over the longer of the two.

    Only answer tokens are compared, without prompt, padding and end token.
    """

    name = "token-accuracy"
    higher_is_better = True

    def __init__(self, config: TokenAccuracyConfig) -> None:
        del config

    def edits(self, prediction: Prediction) -> Edits:
        """Return the places that differ; places that one side lacks count as wrong."""
        reference, hypothesis = prediction.reference_ids, prediction.ids
        wrong = sum(one != other for one, other in zip(reference, hypothesis, strict=False))
        longer = len(hypothesis) - len(reference)
        return Edits(wrong, max(0, -longer), max(0, longer), max(len(reference), len(hypothesis)))


def metric_called(name: str, metrics: Sequence[Metric]) -> Metric:
    """Return the metric of a name; the first metric if the name is empty.

    :raises UsageError: there is no such metric.
    """
    known = {metric.name: metric for metric in reversed(metrics)}
    if name in known:
        return known[name]
    if not metrics:
        msg = "train.validate needs a score: add a table [[metrics]]"
        raise UsageError(msg)
    if name:
        msg = (
            f'train.validate.metric is "{name}"{did_you_mean(name, known)} '
            f"(the metrics are {', '.join(metric.name for metric in metrics)})"
        )
        raise UsageError(msg)
    return metrics[0]


def corpus_value(metric: Metric) -> Callable[[Sequence[float]], float] | None:
    """Return the function from sums of statistics to the score; None where the score is a rate of edits."""
    return metric.value if isinstance(metric, CorpusMetric) else None


def counted(metric: Metric, predictions: Sequence[Prediction]) -> Sequence[Edits | Sequence[float]]:
    """Return what is summed of each example: its edits, or its statistics."""
    if isinstance(metric, CorpusMetric):
        return metric.statistics(predictions)
    return [metric.edits(prediction) for prediction in predictions]


def total(edits: Iterable[Edits]) -> Edits:
    """Return the counts of all examples together."""
    return sum(edits, Edits(0, 0, 0, 0))


def rate(edits: Iterable[Edits], *, higher_is_better: bool = False) -> float:
    """Return the corpus score: all edits over all reference units, or one minus that where higher is better.

    It is nan when no reference has a unit.
    """
    counts = total(edits)
    scored = counts.reference - counts.errors if higher_is_better else counts.errors
    return scored / counts.reference if counts.reference else math.nan


def _edits(output: jiwer.WordOutput | jiwer.CharacterOutput) -> Edits:
    reference = output.hits + output.substitutions + output.deletions
    return Edits(output.substitutions, output.deletions, output.insertions, reference)


def _joining(reference: list[str], hypothesis: list[str]) -> Edits:
    """Return the edits where joining neighbouring words of either side is free."""
    counts = kaldialign.edit_distance(reference, hypothesis, merge_compounds=True)
    return Edits(*(int(counts[kind]) for kind in ("sub", "del", "ins", "ref_len")))
