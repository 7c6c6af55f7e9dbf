"""The checks of a metric: counts that can be added, no reward for answers that say everything or nothing.

A corpus score has statistics in place of edits, and whole splits are compared where edits are compared one by
one.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.evaluate.bootstrap import corpus_score
from steermoe_core.evaluate.metrics import CorpusMetric, Metric, counted, rate
from steermoe_core.evaluate.prediction import Prediction
from steermoe_core.evaluate.scores import Edits
from steermoe_core.testing.suite import Suite, needs

if TYPE_CHECKING:
    from collections.abc import Sequence

#: References, most of them a possible answer to a question as well as a transcript.
_TEXTS = ("yes", "no", "three", "one two", "zero", "dog", "seven eight nine", "yes", "the rain in spain")


class MetricSuite(Suite):
    """Checks of a `Metric`.

    A metric that judges only certain predictions overrides `right`.
    """

    kind = "metric"

    def right(self) -> list[Prediction]:
        """Return predictions whose hypothesis is the reference."""
        return [
            Prediction(
                id=f"clip-{number}",
                reference=text,
                hypothesis=text,
                seconds=1.0,
                tokens=len(text.split()),
                stop="eos",
                references=(text,) * 3 if number % 2 else (),
                ids=_ids(text),
                reference_ids=_ids(text),
            )
            for number, text in enumerate(_TEXTS)
        ]

    def check_type(self, part: Any) -> None:
        """Refuse what is no metric."""
        self.expect_instance(part, Metric)

    @needs("builds")
    def test_declares(self) -> None:
        """It has a `name` of one word and says whether higher is better."""
        metric = self.build()
        name, higher = getattr(metric, "name", None), metric.higher_is_better
        right = isinstance(name, str) and bool(name) and not set(name) & set(" \t\n/")
        self.expect(
            right, f"name is {name!r}, expected one word: it is a key of files and a column of tables"
        )
        self.expect(isinstance(higher, bool), f"higher_is_better is {higher!r}, expected True or False")

    @needs("builds")
    def test_counts(self) -> None:
        """Edits are whole numbers, none below 0; where higher is better, no more errors than units.

        Statistics are finite numbers, as many for each example; their sums over a split taken twice give the
        same score.
        """
        metric = self.build()
        if isinstance(metric, CorpusMetric):
            self._check_statistics(metric, self._cases())
            return
        for prediction in self._cases():
            edits = metric.edits(prediction)
            self.expect(isinstance(edits, Edits), f"edits() gave {type(edits).__name__}, expected Edits")
            pair = f"of {prediction.hypothesis!r} for {prediction.reference!r}"
            for name, count in attrs.asdict(edits).items():
                whole = isinstance(count, int) and count >= 0
                self.expect(
                    whole, f"edits() {pair} counts {count!r} {name}, expected a whole number from 0 on"
                )
            self.expect(
                not metric.higher_is_better or edits.errors <= edits.reference,
                f"edits() {pair} counts {edits.errors} errors in {edits.reference} units, a score below 0: "
                "an accuracy has at most an error a unit",
            )

    @needs("order")
    def test_perfect(self) -> None:
        """An answer that is the reference has no error, and some are judged; no other split scores better."""
        metric, judged = self.build(), 0
        if isinstance(metric, CorpusMetric):
            self._check_best(metric)
            return
        for prediction in self.right():
            edits = metric.edits(prediction)
            judged += edits.reference > 0
            errors, text = edits.errors, prediction.reference
            self.expect(not errors, f"{text!r} said for {text!r} counts {errors} errors, expected none")
        self.expect(judged, "none of the suite's predictions is judged: override right() with some that are")

    @needs("perfect")
    def test_wrong_answers(self) -> None:
        """Saying nothing, or something else, costs."""
        metric = self.build()
        if isinstance(metric, CorpusMetric):
            self._check_worse(metric, ("", "mmmm"))
            return
        for hypothesis in ("", "mmmm"):
            for prediction in self._judged(metric):
                errors = metric.edits(_saying(prediction, hypothesis)).errors
                pair = f"{hypothesis!r} said for {prediction.reference!r}"
                self.expect(errors, f"{pair} counts no error: what is not the reference has to cost")
        wrong = [_saying(prediction, "mmmm") for prediction in self.right()]
        best, worst = (self._score(metric, predictions) for predictions in (self.right(), wrong))
        better = best > worst if metric.higher_is_better else best < worst
        self.expect(
            better,
            f"right answers score {best:g} and wrong ones {worst:g}: higher_is_better says it the other way",
        )

    @needs("perfect")
    def test_constant_answers(self) -> None:
        """An answer that holds every possible answer is not right: nothing is found in a longer text."""
        metric = self.build()
        words = sorted({*" ".join(_TEXTS).split()})
        everything = (" ".join(words), " ".join(reversed(words)))
        if isinstance(metric, CorpusMetric):
            self._check_alone(metric, everything)
            return
        for hypothesis in everything:
            for prediction in self._judged(metric):
                errors = metric.edits(_saying(prediction, hypothesis)).errors
                self.expect(
                    errors,
                    f"{hypothesis!r} counts as right for {prediction.reference!r}: compare whole answers, or "
                    "whoever says everything scores best",
                )

    @needs("details")
    def test_order(self) -> None:
        """The edits of an example do not depend on those before it; sums and details not on their order."""
        predictions = self._cases()
        one = counted(self.build(), predictions)
        other = counted(self.build(), predictions[::-1])[::-1]
        for prediction, first, second in zip(predictions, one, other, strict=True):
            pair = f"{prediction.hypothesis!r} for {prediction.reference!r}"
            self.expect(
                first == second, f"{pair} counts {first} or {second}, as the order is: remember nothing"
            )
        details = [self.build().details(some) for some in (predictions, predictions[::-1])]
        self.expect(details[0] == details[1], f"details() depend on the order: {details[0]} and {details[1]}")

    @needs("builds")
    def test_empty(self) -> None:
        """Empty references and answers are counted, not stumbled over; no prediction at all neither."""
        metric = self.build()
        blank = [
            _saying(attrs.evolve(p, reference="", references=(), reference_ids=()), said)
            for p, said in zip(self.right(), ("", "one", "one two", "…"), strict=False)
        ]
        if isinstance(metric, CorpusMetric):
            rows = metric.statistics(blank)
            finite = all(map(math.isfinite, (one for row in rows for one in row)))
            self.expect(finite, "statistics() of empty references are not finite")
            value = metric.value([0.0] * len(rows[0]))
            self.expect(
                isinstance(value, float), f"value() of sums of 0 is {value!r}, expected a float or nan"
            )
        for prediction in blank:
            edits = metric.edits(prediction)
            pair = f"{prediction.hypothesis!r} for an empty reference"
            self.expect(isinstance(edits, Edits), f"{pair} gives {edits!r}, expected Edits")
        self.expect(isinstance(metric.details([]), dict), "details([]) is no dict")

    @needs("counts")
    def test_details(self) -> None:
        """`details` are plain JSON values without nan."""
        details = self.build().details(self._cases())
        try:
            json.dumps(details, allow_nan=False)
        except (TypeError, ValueError) as error:
            msg = (
                f"details() cannot be written into scores.json ({error}): give plain finite values, None for "
                "no value"
            )
            raise self.wrong(msg) from error

    def _cases(self) -> list[Prediction]:
        """Return right and wrong predictions: each answer said for each of some references."""
        right = self.right()
        said = [
            *(prediction.hypothesis for prediction in right[:5]),
            "",
            "mmmm",
            "one two three four five",
            "Yes, it is.",
            "是 的",
        ]
        return [*right, *(_saying(prediction, text) for prediction in right for text in said)]

    def _judged(self, metric: Metric) -> list[Prediction]:
        return [prediction for prediction in self.right() if metric.edits(prediction).reference]

    def _check_statistics(self, metric: CorpusMetric, predictions: Sequence[Prediction]) -> None:
        rows = metric.statistics(predictions)
        number = len(predictions)
        self.expect(
            len(rows) == number,
            f"statistics() gave {len(rows)} rows for {number} predictions, expected one each",
        )
        widths = sorted({len(row) for row in rows})
        self.expect(
            len(widths) == 1, f"statistics() have {widths} figures, expected as many for each example"
        )
        self.expect(
            all(map(math.isfinite, (one for row in rows for one in row))), "statistics() are not finite"
        )
        once, twice = corpus_score(rows, metric.value), corpus_score([*rows, *rows], metric.value)
        same = math.isclose(once, twice, rel_tol=1e-6) or (math.isnan(once) and math.isnan(twice))
        self.expect(
            same, f"a split taken twice scores {twice:g} instead of {once:g}: value() is to be of a corpus"
        )

    def _check_best(self, metric: CorpusMetric) -> None:
        best = self._score(metric, self.right())
        self.expect(
            math.isfinite(best), "the suite's predictions have no score: override right() with some that have"
        )
        for hypothesis in ("", "mmmm", "one two"):
            found = self._score(metric, [_saying(prediction, hypothesis) for prediction in self.right()])
            better = found > best if metric.higher_is_better else found < best
            self.expect(
                not better,
                f"{hypothesis!r} said for every reference scores {found:g}, the references {best:g}",
            )

    def _check_worse(self, metric: CorpusMetric, hypotheses: Sequence[str]) -> None:
        best = self._score(metric, self.right())
        for hypothesis in hypotheses:
            found = self._score(metric, [_saying(prediction, hypothesis) for prediction in self.right()])
            self.expect(
                found != best,
                f"{hypothesis!r} said for every reference scores {found:g}, as the references do: what "
                "is not the reference has to cost",
            )

    def _check_alone(self, metric: CorpusMetric, hypotheses: Sequence[str]) -> None:
        """Compare one clip at a time; some scores, such as BLEU, cannot tell texts of one word apart."""
        sign = 1.0 if metric.higher_is_better else -1.0
        for prediction in self.right():
            best, silent = (sign * self._score(metric, [p]) for p in (prediction, _saying(prediction, "")))
            for hypothesis in hypotheses:
                found = sign * self._score(metric, [_saying(prediction, hypothesis)])
                self.expect(
                    not best > silent or found < best,
                    f"{hypothesis!r} scores as high as {prediction.reference!r} for it: compare whole "
                    "answers, or whoever says everything scores best",
                )

    def _score(self, metric: Metric, predictions: Sequence[Prediction]) -> float:
        if isinstance(metric, CorpusMetric):
            return corpus_score(metric.statistics(predictions), metric.value)
        return rate([metric.edits(p) for p in predictions], higher_is_better=metric.higher_is_better)


def _saying(prediction: Prediction, hypothesis: str) -> Prediction:
    return attrs.evolve(
        prediction, hypothesis=hypothesis, ids=_ids(hypothesis), tokens=len(hypothesis.split()), stop="eos"
    )


def _ids(text: str) -> tuple[int, ...]:
    """Return a token a word: equal words have equal ids."""
    return tuple(int.from_bytes(word.encode()[:6], "big") + len(word) for word in text.split())
