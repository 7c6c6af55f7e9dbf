"""Metrics that are wrong in one way each."""

from __future__ import annotations

import math

from steermoe_core.evaluate.metrics import CorpusMetric, Metric
from steermoe_core.evaluate.scores import Edits


class Right(Metric):
    """One error for each answer that is not the reference."""

    caught_by = None
    name = "plain"

    def __init__(self, config):
        self.last = ""

    def edits(self, prediction):
        return Edits(int(not self.same(prediction)), 0, 0, 1)

    def same(self, prediction):
        """Tell whether the answer is right."""
        return prediction.hypothesis == prediction.reference


class NoMetric:
    """Is something else."""

    caught_by = "builds"

    def __init__(self, config):
        pass


class TwoWords(Right):
    """Has a name that no table can have."""

    caught_by = "declares"
    name = "my metric"


class Negative(Right):
    """Gives words back that were said beyond the reference."""

    caught_by = "counts"

    def edits(self, prediction):
        wanted, said = len(prediction.reference.split()), len(prediction.hypothesis.split())
        return Edits(int(not self.same(prediction)), wanted - said, 0, 1)


class Below(Right):
    """Calls an error rate an accuracy."""

    caught_by = "counts"
    higher_is_better = True

    def edits(self, prediction):
        return Edits(0, 0, 2 * int(not self.same(prediction)), 1)


class Strict(Right):
    """Is satisfied by nothing."""

    caught_by = "perfect"

    def same(self, prediction):
        return False


class FreeSilence(Right):
    """Lets those go free who say nothing."""

    caught_by = "wrong_answers"

    def same(self, prediction):
        return not prediction.hypothesis or super().same(prediction)


class Substring(Right):
    """Looks for the reference inside the answer, so whoever says everything is always right."""

    caught_by = "constant_answers"
    higher_is_better = True

    def same(self, prediction):
        return prediction.reference in prediction.hypothesis


class Remembers(Right):
    """Is milder after a right answer."""

    caught_by = "order"

    def edits(self, prediction):
        last, self.last = self.last, prediction.reference
        return Edits(int(not self.same(prediction)) + int(last == "dog" != prediction.reference), 0, 0, 2)

    def same(self, prediction):
        return super().same(prediction)


class Stumbles(Right):
    """Divides by the words of the reference."""

    caught_by = "empty"

    def edits(self, prediction):
        words = len(prediction.reference.split())
        return Edits(int(not self.same(prediction)), 0, 0, words // words)


class NotANumber(Right):
    """Has a detail that is no JSON."""

    caught_by = "details"

    def details(self, predictions):
        return {"mean": math.nan}


class RightCorpus(CorpusMetric):
    """The share of right answers among all, as a corpus score."""

    caught_by = None
    name = "share"
    higher_is_better = True

    def __init__(self, config):
        self.seen = 0

    def statistics(self, predictions):
        return [(int(one.hypothesis == one.reference), 1) for one in predictions]

    def value(self, sums):
        return sums[0] / sums[1] if sums[1] else math.nan


class Uneven(RightCorpus):
    """Has as many statistics as there are words."""

    caught_by = "counts"

    def statistics(self, predictions):
        return [(1.0,) * (1 + len(one.reference.split())) for one in predictions]

    def value(self, sums):
        return 0.5


class Total(RightCorpus):
    """Adds up what it should average."""

    caught_by = "counts"

    def value(self, sums):
        return sums[0]


class Backwards(RightCorpus):
    """Is best where nothing is right."""

    caught_by = "perfect"
    higher_is_better = False


class Generous(RightCorpus):
    """Counts silence as right."""

    caught_by = "wrong_answers"

    def statistics(self, predictions):
        return [(int(one.hypothesis in ("", one.reference)), 1) for one in predictions]


class Finds(RightCorpus):
    """Looks for the reference inside the answer."""

    caught_by = "constant_answers"

    def statistics(self, predictions):
        return [(int(one.hypothesis != "" and one.reference in one.hypothesis), 1) for one in predictions]


class Counts(RightCorpus):
    """Gives a weight by the place in the split."""

    caught_by = "order"

    def statistics(self, predictions):
        rows = super().statistics(predictions)
        return [(place * right, place * one) for place, (right, one) in enumerate(rows, 1)]


class Divides(RightCorpus):
    """Divides by what may be nothing."""

    caught_by = "empty"

    def value(self, sums):
        return sums[0] / sums[1]
