"""Knockouts of a corpus score: statistics are kept in place of edits, and compared in the same way."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.data.example import Example
from steermoe_core.model.knockouts import Knockout
from steermoe_core.run.scoring.knockouts import KnockoutScores
from tests.predictions import predicted
from tests.testing.wrong.metrics import RightCorpus

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = [Example(id=f"clip-{n}", audio=Path(f"{n}.wav"), text="one", seconds=1.0) for n in range(8)]


def scores(file: Path, said: Sequence[str]) -> KnockoutScores:
    """Return the scores of a model that says one text to every clip, and another under each knockout."""
    texts = iter(said)

    def evaluate(examples: Sequence[Example]) -> tuple[dict[str, Any], None]:
        text = next(texts)
        return {"": [predicted(text, one.text, id=one.id) for one in examples]}, None

    adapter = SimpleNamespace(rerouted=lambda _: nullcontext())
    evaluator: Any = SimpleNamespace(
        metrics=[RightCorpus(None)],
        config=SimpleNamespace(max_new_tokens=4, tokens_per_second=1.0),
        model=SimpleNamespace(adapters=adapter),
        evaluate=evaluate,
        half=False,
    )
    return KnockoutScores(evaluator, EXAMPLES, file)


def test_statistics_are_kept_and_compared(tmp_path: Path) -> None:
    """The file is read again: nothing is scored twice."""
    file = tmp_path / "knockouts.jsonl"
    found, expert = scores(file, ["one", "two"]), Knockout("expert", layer=0, expert=1, row=0)

    assert found.add(None)
    assert found.add(expert)

    again = scores(file, [])
    assert not again.add(None)
    for one in (found, again):
        assert one.baseline().value == 1.0
        (row,) = one.rows(seed=3)
        assert (row.value, row.difference, row.verdict) == (0.0, pytest.approx(-1.0), "worse")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["edits"]["clip-0"] for line in lines] == [[1, 1], [0, 1]]
