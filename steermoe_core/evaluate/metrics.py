"""Scores of (hypothesis, reference) pairs as counts of edits, so that they can be summed and resampled.

A corpus score is a micro-average: all edits over all reference units. Nothing is cut, stripped or
substituted: a hypothesis that never ends costs an insertion a word, and so does each word said where the
reference is empty.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import attrs
import jiwer

from steermoe_core.evaluate.normalise import normaliser

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steermoe_core.evaluate.config import CerConfig, Normalise, WerConfig


@attrs.frozen
class Edits:
    """How far a hypothesis is from its reference.

    :param substitutions: reference units that were replaced.
    :param deletions: reference units that are missing.
    :param insertions: units that no reference unit stands for.
    :param reference: units (words, characters) of the reference.
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


class Metric(Protocol):
    """What a `metric` component builds.

    :ivar name: what the score is called in tables and files.
    """

    name: str

    def edits(self, hypothesis: str, reference: str) -> Edits:
        """Return the edits of one example; fewer are better."""


class Wer:
    """Word error rate; its name tells the ruler where that is not the default: `wer`, `wer-none`."""

    def __init__(self, config: WerConfig) -> None:
        self.name = _name("wer", config.normalise)
        self._normalise = normaliser(config.normalise)

    def edits(self, hypothesis: str, reference: str) -> Edits:
        """Return the word edits of one example."""
        return _edits(jiwer.process_words(self._normalise(reference), self._normalise(hypothesis)))


class Cer:
    """Character error rate, named as the word error rate is; a space is a character."""

    def __init__(self, config: CerConfig) -> None:
        self.name = _name("cer", config.normalise)
        self._normalise = normaliser(config.normalise)

    def edits(self, hypothesis: str, reference: str) -> Edits:
        """Return the character edits of one example."""
        return _edits(jiwer.process_characters(self._normalise(reference), self._normalise(hypothesis)))


def total(edits: Iterable[Edits]) -> Edits:
    """Return the counts of all examples together."""
    return sum(edits, Edits(0, 0, 0, 0))


def rate(edits: Iterable[Edits]) -> float:
    """Return the corpus score: all edits over all reference units; nan when no reference has a unit."""
    counts = total(edits)
    return counts.errors / counts.reference if counts.reference else math.nan


def _name(metric: str, normalise: Normalise) -> str:
    return metric if normalise == "basic" else f"{metric}-{normalise}"


def _edits(output: jiwer.WordOutput | jiwer.CharacterOutput) -> Edits:
    reference = output.hits + output.substitutions + output.deletions
    return Edits(output.substitutions, output.deletions, output.insertions, reference)
