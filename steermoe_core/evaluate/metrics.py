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

from steermoe_core.evaluate.normalise import normaliser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from steermoe_core.evaluate.config import CerConfig, Normalise, TokenAccuracyConfig, WerConfig
    from steermoe_core.evaluate.prediction import Prediction


@attrs.frozen
class Edits:
    """How far a hypothesis is from its reference.

    :param substitutions: reference units that were replaced.
    :param deletions: reference units that are missing.
    :param insertions: units that no reference unit stands for.
    :param reference: units of the reference (words, characters, tokens), or answers that were judged.
    """

    substitutions: int
    deletions: int
    insertions: int
    reference: int

    @property
    def errors(self) -> int:
        """Return all edits together."""
        return self.substitutions + self.deletions + self.insertions

    def __add__(self, other: Edits) -> Edits:
        """Return the counts of both."""
        return Edits(
            *(mine + its for mine, its in zip(attrs.astuple(self), attrs.astuple(other), strict=True))
        )


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
    """

    name: str
    higher_is_better: bool = False

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
    """Word error rate; its name tells the ruler where that is not the default: `wer`, `wer-none`."""

    def __init__(self, config: WerConfig) -> None:
        self.name = _name("wer", config.normalise)
        self._normalise = normaliser(config.normalise)

    def edits(self, prediction: Prediction) -> Edits:
        """Return the word edits of one example."""
        wanted, said = self._normalise(prediction.reference), self._normalise(prediction.hypothesis)
        return _edits(jiwer.process_words(wanted, said))

    def units(self, prediction: Prediction) -> Units:
        """Return the words of both sides."""
        wanted, said = self._normalise(prediction.reference), self._normalise(prediction.hypothesis)
        return Units(wanted.split(), said.split(), " ")


class Cer(Metric):
    """Character error rate, named as the word error rate is; a space is a character."""

    def __init__(self, config: CerConfig) -> None:
        self.name = _name("cer", config.normalise)
        self._normalise = normaliser(config.normalise)

    def edits(self, prediction: Prediction) -> Edits:
        """Return the character edits of one example."""
        wanted, said = self._normalise(prediction.reference), self._normalise(prediction.hypothesis)
        return _edits(jiwer.process_characters(wanted, said))

    def units(self, prediction: Prediction) -> Units:
        """Return the characters of both sides."""
        return Units(
            list(self._normalise(prediction.reference)), list(self._normalise(prediction.hypothesis)), ""
        )


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


def _name(metric: str, normalise: Normalise) -> str:
    return metric if normalise == "basic" else f"{metric}-{normalise}"


def _edits(output: jiwer.WordOutput | jiwer.CharacterOutput) -> Edits:
    reference = output.hits + output.substitutions + output.deletions
    return Edits(output.substitutions, output.deletions, output.insertions, reference)
