"""Scores of a split under each knockout, kept as they come, so that a stop costs one of them at most.

knockouts.jsonl has a line for each: what was out, of what it was measured, and the edits or statistics of
every clip.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import RunFolderError
from steermoe_core.evaluate.bootstrap import corpus_score, difference
from steermoe_core.evaluate.metrics import corpus_value, counted, rate
from steermoe_core.evaluate.scores import Edits
from steermoe_core.run.assembly.builder import data_record
from steermoe_core.run.folder.records import Baseline, KnockoutScore
from steermoe_core.system.files import saving
from steermoe_core.system.records import DamagedError, parsed, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.bootstrap import Row
    from steermoe_core.evaluate.evaluation import Evaluator
    from steermoe_core.model.knockouts import Knockout

#: The line of the model as it is, which all others are compared with.
NOTHING = "nothing"


@attrs.frozen(kw_only=True)
class _Line:
    """A line of knockouts.jsonl.

    :param knockout: JSON of what, layer and expert.
    :param measured_on: hash of what the numbers depend on.
    :param edits: of each clip by its id; the statistics of a corpus score.
    """

    knockout: str
    measured_on: str
    edits: dict[str, list[float]]


class KnockoutScores:
    """The scores of one metric on some clips, read from the file and added to it.

    :param evaluator: scores by that metric alone, without controls.
    :param examples: the clips.
    :param file: knockouts.jsonl; lines of other clips or of another metric are left as they are.
    """

    def __init__(self, evaluator: Evaluator, examples: Sequence[Example], file: Path) -> None:
        self.evaluator = evaluator
        self.examples = examples
        self.file = file
        (self.metric,) = evaluator.metrics
        self.measured_on = _measured_on(evaluator, examples)
        self._rows = dict(self._read())

    def add(self, knockout: Knockout | None) -> bool:
        """Score the clips under a knockout, None for the model as it is; False if that is done already."""
        key = _key(knockout)
        if key in self._rows:
            return False
        if knockout is None:
            predictions, _ = self.evaluator.evaluate(self.examples)
        else:
            with self.evaluator.model.adapters.rerouted(knockout):
                predictions, _ = self.evaluator.evaluate(self.examples)
        rows = counted(self.metric, predictions[""])
        self._rows[key] = {one.id: row for one, row in zip(predictions[""], rows, strict=True)}
        self._write(key)
        return True

    def baseline(self) -> Baseline:
        """Return the score of the model without a knockout."""
        rows = self._rows[_key(None)]
        return Baseline(metric=self.metric.name, value=self._value(rows), clips=len(rows))

    def rows(self, seed: int) -> list[KnockoutScore]:
        """Return what each knockout that was scored changes, with a paired-bootstrap interval."""
        whole = self._rows.get(_key(None))
        if whole is None:
            return []
        clusters = {e.id: e.cluster if e.cluster is not None else ("alone", e.id) for e in self.examples}
        return [self._row(key, whole, clusters, seed) for key in self._rows if json.loads(key)[0] != NOTHING]

    def _row(self, key: str, whole: dict[str, Row], clusters: dict[str, Any], seed: int) -> KnockoutScore:
        what, layer, expert = json.loads(key)
        higher, rows = self.metric.higher_is_better, self._rows[key]
        value = corpus_value(self.metric)
        delta = difference(whole, rows, clusters, seed=seed, higher_is_better=higher, value=value)
        return KnockoutScore(
            what=what,
            layer=layer,
            expert=expert,
            metric=self.metric.name,
            value=self._value(rows),
            difference=delta.value,
            interval=delta.interval,
            verdict=delta.verdict(higher_is_better=higher),
        )

    def _value(self, rows: dict[str, Row]) -> float:
        value = corpus_value(self.metric)
        if value is not None:
            return corpus_score(list(rows.values()), value)
        edits = [row for row in rows.values() if isinstance(row, Edits)]
        return rate(edits, higher_is_better=self.metric.higher_is_better)

    def _read(self) -> Iterable[tuple[str, dict[str, Row]]]:
        *lines, rest = self.file.read_bytes().split(b"\n") if self.file.exists() else [b""]
        if rest:  # a kill cut it short
            os.truncate(self.file, sum(len(line) + 1 for line in lines))
        for line in lines:
            try:
                one = parsed(line.decode(errors="replace"), _Line)
            except DamagedError as error:
                msg = f"{self.file} has a line that is no knockout ({error}); delete the line, or the file"
                raise RunFolderError(msg) from None
            if one.measured_on == self.measured_on:
                yield one.knockout, {name: self._parsed(counts) for name, counts in one.edits.items()}

    def _parsed(self, counts: Sequence[Any]) -> Row:
        return Edits(*counts) if corpus_value(self.metric) is None else counts

    def _write(self, key: str) -> None:
        edits: dict[str, list[float]] = {
            name: list(attrs.astuple(row) if isinstance(row, Edits) else row)
            for name, row in self._rows[key].items()
        }
        line = _Line(knockout=key, measured_on=self.measured_on, edits=edits)
        with saving(self.file), self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(line), ensure_ascii=False) + "\n")


def _key(knockout: Knockout | None) -> str:
    parts = (NOTHING, None, None) if knockout is None else (knockout.what, knockout.layer, knockout.expert)
    return json.dumps(parts)


def _measured_on(evaluator: Evaluator, examples: Sequence[Example]) -> str:
    """Return a hash of all that a line's numbers depend on, except the run."""
    limits = (evaluator.config.max_new_tokens, evaluator.config.tokens_per_second)
    half = ("bf16",) if evaluator.half else ()
    facts = (evaluator.metrics[0].name, data_record(examples).sha256, *limits, *half)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
