"""A line of predictions.jsonl holds what a metric needs, and older lines can still be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.prediction import Prediction, read
from tests.predictions import predicted

if TYPE_CHECKING:
    from pathlib import Path

texts = st.text(max_size=12)


@given(texts, texts, st.lists(texts, max_size=3), st.dictionaries(texts, texts), st.lists(st.integers(0)))
def test_a_line_gives_the_prediction_again(
    tmp_path_factory: pytest.TempPathFactory,
    said: str,
    wanted: str,
    references: list[str],
    labels: dict[str, str],
    ids: list[int],
) -> None:
    """Any text is one line, whatever line breaks it holds."""
    whole = predicted(said, wanted, references=references, labels=labels, ids=ids, prompt=wanted)
    file = tmp_path_factory.mktemp("rows") / "predictions.jsonl"
    file.write_text(whole.line() * 2, encoding="utf-8", newline="")

    assert read(file) == [whole, whole]


def test_lines_of_older_runs_are_read(tmp_path: Path) -> None:
    """They lack the fields that came later."""
    old = {"id": "a", "reference": "one", "hypothesis": "two", "seconds": 1.5, "tokens": 1, "stop": "eos"}
    (tmp_path / "old.jsonl").write_text(json.dumps({**old, "cluster": None}) + "\n")

    assert read(tmp_path / "old.jsonl") == [Prediction(**old)]


def test_the_reference_is_accepted_where_there_is_no_list() -> None:
    """A clip with one transcript has one accepted answer."""
    assert predicted("x", "one").accepted == ("one",)
    assert predicted("x", "one", references=["one", "two"]).accepted == ("one", "two")


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"id": "a"}', '{"unknown": 1}'])
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, line: str) -> None:
    """Place and reason are named."""
    file = tmp_path / "rows.jsonl"
    file.write_text(predicted("a", "b").line() + line + "\n")

    with pytest.raises(UsageError, match=r"rows\.jsonl:2: not a prediction"):
        read(file)


def test_a_missing_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """The path is named."""
    with pytest.raises(UsageError, match=r"rows\.jsonl cannot be read \(No such file"):
        read(tmp_path / "rows.jsonl")
