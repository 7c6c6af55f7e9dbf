"""Accuracy of answers as the annotators judge it."""

from __future__ import annotations

from collections import Counter
from statistics import mean
from typing import TYPE_CHECKING, Any

from steermoe_clothoaqa.answers import (
    BINARY,
    UNANIMOUS,
    YES_NO,
    agreement,
    compared,
    kind_of,
    majority,
    yes_or_no,
)
from steermoe_core.evaluate.accuracy import Accuracy, Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_clothoaqa.config import QaAccuracyConfig
    from steermoe_core.evaluate.prediction import Prediction


class QaAccuracy(Accuracy):
    """Share of right answers; the name tells judge and kind: `qa-majority`, `qa-any-binary`."""

    def __init__(self, config: QaAccuracyConfig) -> None:
        self._judge, self._kind = config.judge, config.kind
        self.name = f"qa-{config.judge}" if config.kind == "all" else f"qa-{config.judge}-{config.kind}"

    def key(self, prediction: Prediction) -> Key | None:
        """Return what the annotators' answers are worth; None where this judge has no say."""
        answers = [compared(answer) for answer in prediction.accepted]
        if self._kind not in {"all", kind_of(answers)}:
            return None
        if self._judge == "each":
            return Key(Counter(answers), total=len(answers))
        if self._judge == "any":
            return Key(dict.fromkeys(answers, 1))
        if self._judge == "unanimous" and agreement(answers) != UNANIMOUS:
            return None
        answer = majority(answers)
        return None if answer is None else Key({answer: 1})

    def parsed(self, prediction: Prediction) -> str | None:
        """Return yes or no to a binary question, a word to another; None where that is not what was said."""
        answers = [compared(answer) for answer in prediction.accepted]
        if kind_of(answers) == BINARY:
            return yes_or_no(prediction.hypothesis)
        said = compared(prediction.hypothesis)
        return said if len(said.split()) == 1 or (said and said in answers) else None

    def details(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return, beside the rulers, what was said how often, and the mean accuracy on yes and on no."""
        judged = [prediction for prediction in predictions if self.key(prediction) is not None]
        said = Counter(_class(self.parsed(prediction)) for prediction in judged)
        return {
            **super().details(predictions),
            "unparsed": said["unparsed"],
            "said": {name: said[name] for name in ("yes", "no", "other", "unparsed")},
            "balanced": self._balanced(judged),
        }

    def _balanced(self, judged: Sequence[Prediction]) -> float | None:
        """Return the mean of the shares of yes and of no that were found; None if there are not both."""
        hits: dict[str, list[bool]] = {}
        for prediction in judged:
            key = self.key(prediction)
            if key is not None and len(key.points) == 1:
                (right,) = key.points
                hits.setdefault(right, []).append(self.parsed(prediction) == right)
        shares = [mean(hits[answer]) for answer in sorted(YES_NO) if answer in hits]
        return mean(shares) if len(shares) == len(YES_NO) else None


def _class(answer: str | None) -> str:
    if answer is None:
        return "unparsed"
    return answer if answer in YES_NO else "other"
