"""Nested tables as flat ones, and what differs between several."""

from __future__ import annotations

import pytest

from steermoe_core.config.flat import differing, flat

TABLE = {
    "train": {"steps": 3, "clip": {"router": 1.0}},
    "metrics": [{"use": "wer"}, {"use": "cer"}],
    "a": [1, 2],
}


def test_every_value_has_its_key_path() -> None:
    """Tables in a list count by number; a list of plain values is one value."""
    assert dict(flat(TABLE)) == {
        ("train", "steps"): 3,
        ("train", "clip", "router"): 1.0,
        ("metrics", 0, "use"): "wer",
        ("metrics", 1, "use"): "cer",
        ("a",): [1, 2],
    }


@pytest.mark.parametrize(
    ("tables", "found"),
    [
        ([{"a": 1}, {"a": 1}], {}),
        ([{"a": 1}, {"a": 2}], {("a",): [1, 2]}),
        ([{"a": 1, "b": 2}, {"a": 1}], {("b",): [2, None]}),
        ([{"a": 1}, {"a": 1}, {"a": 3}], {("a",): [1, 1, 3]}),
        ([{"a": 1}], {}),
    ],
)
def test_what_differs(tables: list[dict[str, int]], found: dict[tuple[str, ...], list[int | None]]) -> None:
    """The value of each table; None where a table has none."""
    assert differing([dict(flat(table)) for table in tables]) == found


def test_keys_to_ignore() -> None:
    """They differ, and are not reported."""
    assert differing([{("seed",): 1, ("a",): 1}, {("seed",): 2, ("a",): 2}], apart=[("seed",)]) == {
        ("a",): [1, 2]
    }
