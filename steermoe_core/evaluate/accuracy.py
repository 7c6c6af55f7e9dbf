"""Accuracies: answers are compared as a whole, never by substrings."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from steermoe_core.evaluate.metrics import Metric
from steermoe_core.evaluate.rules import Rule, named, rule
from steermoe_core.evaluate.scores import Edits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steermoe_core.evaluate.config import ExactMatchConfig
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.system.records import Json


@attrs.frozen
class Key:
    """The points that answers to one question earn.

    :param points: of each answer that earns any, in its compared form.
    :param total: points of an answer that every judge agrees with.
    """

    points: Mapping[str, int]
    total: int = 1


class Accuracy(Metric):
    """Points earned over all points; accuracies differ in their keys and in how answers are parsed."""

    higher_is_better = True

    @abstractmethod
    def key(self, prediction: Prediction) -> Key | None:
        """Return the points of answers to the question; None: it is not judged."""

    @abstractmethod
    def parsed(self, prediction: Prediction) -> str | None:
        """Return the answer in its compared form; None: there is no answer, so it earns nothing."""

    def edits(self, prediction: Prediction) -> Edits:
        """Return the points that were missed, over all points."""
        key = self.key(prediction)
        if key is None:
            return Edits(0, 0, 0, 0)
        answer = self.parsed(prediction)
        earned = 0 if answer is None else key.points.get(answer, 0)
        return Edits(key.total - earned, 0, 0, key.total)

    def details(self, predictions: Sequence[Prediction]) -> Json:
        """Return the number of questions that were judged, and two baselines for the score.

        `constant` is the best single answer to all questions; `ceiling` is the score of the best answer to
        each question, less than 1 where judges disagree.
        """
        keys = [key for prediction in predictions if (key := self.key(prediction)) is not None]
        total = sum(key.total for key in keys)
        if not total:
            return {"judged": 0, "constant": None, "ceiling": None}
        answers: Counter[str] = Counter()
        for key in keys:
            answers.update(key.points)
        answer, points = min(answers.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
        best = sum(max(key.points.values(), default=0) for key in keys)
        return {
            "judged": len(keys),
            "constant": {"answer": answer, "value": points / total},
            "ceiling": best / total,
        }


class ExactMatch(Accuracy):
    """The whole answer is a reference; the name includes the rule: `exact-match`, `exact-match-raw`."""

    rule: Rule

    def __init__(self, config: ExactMatchConfig) -> None:
        self.name = named("exact-match", config.normalise)
        self.rule = rule(config.normalise)

    def key(self, prediction: Prediction) -> Key | None:
        """Return the references; an example whose references are all empty is not judged."""
        forms = {form for text in prediction.accepted if (form := self.rule.characters(text))}
        return Key(dict.fromkeys(forms, 1)) if forms else None

    def parsed(self, prediction: Prediction) -> str | None:
        """Return the answer in its compared form; an empty one is no answer."""
        return self.rule.characters(prediction.hypothesis) or None
