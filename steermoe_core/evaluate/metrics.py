"""Scores of predictions as counts of edits, so that they can be summed and resampled.

A corpus score is a micro-average: all edits over all reference units, or one minus that where higher is
better. Nothing is cut, stripped or substituted: a hypothesis that never ends costs an insertion a word, and
so does each word said where the reference is empty.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import attrs
import jiwer
import kaldialign

from steermoe_core.evaluate.rules import Rule, named, rule
from steermoe_core.evaluate.scores import Edits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from steermoe_core.evaluate.config import CerConfig, TokenAccuracyConfig, WerConfig
    from steermoe_core.evaluate.prediction import Prediction


@attrs.frozen
class Units:
    """What an error rate counts, in the order of the text.

    :param reference: words or characters of the reference, in the form that is compared.
    :param hypothesis: likewise of the answer.
    :param between: what stands between two units of a text: a space, or nothing.
    """

    reference: Sequence[str]
    hypothesis: Sequence[str]
    between: str


class Metric(ABC):
    """What a `metric` component builds.

    :ivar name: what the score is called in tables and files.
    :ivar higher_is_better: the score is one minus the errors over the reference units, not that rate itself.
    :ivar rule: what is done to both texts before they are compared; None where no such rule has a part.
    """

    name: str
    higher_is_better: bool = False
    rule: Rule | None = None

    @abstractmethod
    def edits(self, prediction: Prediction) -> Edits:
        """Return the edits of one example; all zero where the metric does not judge it."""

    def units(self, prediction: Prediction) -> Units | None:  # noqa: ARG002 - most have none
        """Return what is aligned of one example; None where answers are judged as a whole."""
        return None

    def details(self, predictions: Sequence[Prediction]) -> dict[str, Any]:  # noqa: ARG002 - most have none
        """Return what else is worth knowing of a split, as plain JSON values for scores.json."""
        return {}


class Wer(Metric):
    """Word error rate; its name tells the rule where that is not the default: `wer`, `wer-open-asr`.

    Under `zh` it is the mixed error rate, of Han characters and of words in other letters.
    """

    rule: Rule

    def __init__(self, config: WerConfig) -> None:
        self.name = named("wer", config.normalise)
        self.rule = rule(config.normalise)

    def edits(self, prediction: Prediction) -> Edits:
        """Return the word edits of one example."""
        wanted, said = self.rule.normalise(prediction.reference), self.rule.normalise(prediction.hypothesis)
        if self.rule.compounds:
            return _joining(wanted.split(), said.split())
        return _edits(jiwer.process_words(wanted, said))

    def units(self, prediction: Prediction) -> Units:
        """Return the words of both sides."""
        wanted, said = self.rule.normalise(prediction.reference), self.rule.normalise(prediction.hypothesis)
        return Units(wanted.split(), said.split(), " ")


class Cer(Metric):
    """Character error rate, named as the word error rate is; a space is a character where the rule has it."""

    rule: Rule

    def __init__(self, config: CerConfig) -> None:
        self.name = named("cer", config.normalise)
        self.rule = rule(config.normalise)

    def edits(self, prediction: Prediction) -> Edits:
        """Return the character edits of one example."""
        wanted, said = self.rule.characters(prediction.reference), self.rule.characters(prediction.hypothesis)
        return _edits(jiwer.process_characters(wanted, said))

    def units(self, prediction: Prediction) -> Units:
        """Return the characters of both sides."""
        wanted, said = self.rule.characters(prediction.reference), self.rule.characters(prediction.hypothesis)
        return Units(list(wanted), list(said), "")


class TokenAccuracy(Metric):
    """Share of places at which answer and reference have the same token, over the longer of the two.

    Answer tokens alone are compared, from the first on: neither the prompt nor padding nor the end token is
    part of either side.
    """

    name = "token-accuracy"
    higher_is_better = True

    def __init__(self, config: TokenAccuracyConfig) -> None:
        del config

    def edits(self, prediction: Prediction) -> Edits:
        """Return the places that differ; places that one side lacks count as wrong."""
        said, wanted = prediction.ids, prediction.reference_ids
        wrong = sum(one != other for one, other in zip(said, wanted, strict=False))
        missing, more = max(0, len(wanted) - len(said)), max(0, len(said) - len(wanted))
        return Edits(wrong, missing, more, max(len(said), len(wanted)))


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


def _joining(wanted: list[str], said: list[str]) -> Edits:
    """Return the edits that are left where neighbouring words of either side may be joined at no cost."""
    found = kaldialign.edit_distance(wanted, said, merge_compounds=True)
    return Edits(*(int(found[kind]) for kind in ("sub", "del", "ins", "ref_len")))
