"""Experiments side by side are called by what tells them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steermoe_core.study.names import SEED, labels


def table(name: str, seed: int = 17, **parts: Any) -> dict[str, Any]:
    """Return the settings of an experiment."""
    return {"experiment": {"name": name, "seed": seed}, **parts}


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        ([table("a"), table("b", train={"steps": 3})], ["a", "b"]),
        (
            [table("a", adapter={"experts": n}) for n in (1, 2)] + [table("b")],
            ["a, experts 1", "a, experts 2", "b"],
        ),
        (
            [table("a", 17, adapter={"router": {"use": "topk"}}), table("a", 18, adapter={})],
            ["a, router topk, seed 17", "a, router –, seed 18"],
        ),
        ([table("a", x={"on": on, "k": [k]}) for on, k in ((True, 1), (False, 2))],
         ["a, on true, k [1]", "a, on false, k [2]"]),
        ([table("a", **dict.fromkeys("vwxyz", n)) for n in (1, 2)], ["folder-0", "folder-1"]),
        ([table("a", prompt=n * 41) for n in "xy"], ["folder-0", "folder-1"]),
        ([table("a"), table("a")], ["folder-0", "folder-1"]),
    ],
)  # fmt: skip
def test_names(tables: list[dict[str, Any]], names: list[str]) -> None:
    """Few settings are named, many or long ones are not; equal experiments are called by their folders."""
    assert labels(tables, [Path(f"runs/folder-{n}") for n in range(len(tables))]) == names


def test_merged_seeds_are_not_named() -> None:
    """A row that holds several seeds."""
    tables = [table("a", 17, adapter={"experts": 1}), table("a", 18, adapter={"experts": 2})]
    assert labels(tables, [Path("x"), Path("y")], apart=[SEED]) == ["a, experts 1", "a, experts 2"]
