"""Copies of a finished run that say they are another one: comparisons need no second training."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import tomli

from steermoe_core.config.text.write import dumps

if TYPE_CHECKING:
    from pathlib import Path


def copied(run: Path, name: str, **settings: Any) -> Path:
    """Return a copy of a run beside it.

    :param settings: what its experiment says instead, by key with `__` for the dot.
    """
    other = run.with_name(name)
    shutil.copytree(run, other)
    table = tomli.loads((other / "experiment.toml").read_text(encoding="utf-8"))
    for key, value in settings.items():
        *tables, last = key.split("__")
        place = table
        for one in tables:
            place = place.setdefault(one, {})
        place[last] = value
    (other / "experiment.toml").write_text(dumps(table), encoding="utf-8")
    return other


def put(scored: Path, toml: str, run: Path) -> Path:
    """Copy a finished run to the folder of another experiment."""
    shutil.copytree(scored, run, dirs_exist_ok=True)
    (run / "experiment.toml").write_text(toml, encoding="utf-8")
    return run


def say(run: Path, *texts: str, split: str = "dev") -> None:
    """Put other answers into a run's predictions."""
    path = run / "evaluations" / split / "predictions.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    changed = [{**line, "hypothesis": text} for line, text in zip(lines, texts, strict=True)]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed), encoding="utf-8")


def change(path: Path, *keys: str, value: Any) -> None:
    """Put another value into a JSON file."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    place = whole
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(whole), encoding="utf-8")
