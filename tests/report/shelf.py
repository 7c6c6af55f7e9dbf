"""Run folders written by hand, as a run leaves them, in milliseconds: no model is built."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.evaluate.score import score
from steermoe_core.plugins import load_registry
from steermoe_core.system.records import plain
from tests.predictions import predicted
from tests.tiny import DIGITS, write_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

EXPERIMENT = """
[experiment]
name = "{name}"
description = "{description}"

[encoder]
use = "whisper"
weights = "nowhere/whisper"

[adapter]
use = "none"

[decoder]
use = "causal-lm"
weights = "nowhere/decoder"

[data.train]
use = "folder"
path = "{clips}"

[data.eval.dev]
use = "folder"
path = "{clips}"

[train]
steps = 8

[[metrics]]
use = "{metric}"
"""
#: What was said to the first clips of the folder dataset, whose texts are the digits.
ANSWERS = ("zero", "won", "two two two", "", "four", "five")


class Shelf:
    """A place for run folders, and the sounds that they were scored on."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.clips = write_folder(place / "clips", DIGITS[: len(ANSWERS)])

    def begun(self, name: str = "first", metric: str = "wer", *sets: str, description: str = "") -> Path:
        """Write a run that has a settings file and nothing else yet; return its folder."""
        text = EXPERIMENT.format(name=name, clips=self.clips, metric=metric, description=description)
        file = self.place / f"{name}.toml"
        file.write_text(text, encoding="utf-8")
        resolved = resolve(file, sets, load_registry())
        run = self.place / "runs" / f"{name}-{resolved.digest}"
        run.mkdir(parents=True)
        (run / "experiment.toml").write_text(resolved.to_toml(), encoding="utf-8")
        return run

    def run(
        self,
        name: str = "first",
        answers: Sequence[str] = ANSWERS,
        *sets: str,
        metric: str = "wer",
        journal: Sequence[Mapping[str, Any]] = (),
        **more: Any,
    ) -> Path:
        """Write a finished run that gave these answers; return its folder.

        :param journal: lines of metrics.jsonl.
        :param more: of scores.json.
        """
        run = self.begun(name, metric, *sets)
        lines = journal or [
            {"step": step, "loss": 8.0 / step, "learning_rate": {"projector": 1e-3 * step},
             "gradient_norm": {"projector": 2.5 / step}, "seconds_per_step": 0.25} for step in range(1, 9)
        ]  # fmt: skip
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        training = {"steps": 8, "of": 8, "ended": "all steps were taken", "adapter_step": 8, "best": None}
        started = {"started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T11:02:03+00:00"}
        write(
            run / "status.json",
            {"state": "finished", "error": None, "step": 8, "training": training, **started},
        )
        frozen = {part: {"use": "x", "weights": None, "sha256": "0" * 64} for part in ("encoder", "decoder")}
        write(
            run / "adapter" / "adapter.json",
            {"format": 1, "experiment": name, "step": 8, "training": training, "trainable_parameters": 12345,
             "tensors": {}, "frozen": frozen},
        )  # fmt: skip
        write(run / "lock.json", {"python": "3.12.1", "git": None, "packages": {"torch": "2.13.0"}})
        self.score(run, answers, **more)
        return run

    def score(self, run: Path, answers: Sequence[str], **more: Any) -> None:
        """Write the evaluation of a run as if it had given these answers."""
        resolved = resolve(run / "experiment.toml", [], load_registry())
        chosen = resolved.experiment.metrics
        metrics = [load_registry().get("metric", one.name).build(one.config) for one in chosen]
        rows = [
            predicted(said, digit, id=f"{number:03d}.wav", seconds=0.3 + 0.05 * number)
            for number, (said, digit) in enumerate(zip(answers, DIGITS, strict=False))
        ]
        deaf = [attrs.evolve(row, hypothesis="nine") for row in rows]
        folder = run / "evaluations" / "dev"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "predictions.jsonl").write_text("".join(row.line() for row in rows), encoding="utf-8")
        write(
            folder / "scores.json",
            {
                "split": "dev",
                "examples": len(rows),
                "left_out": {},
                "metrics": {metric.name: plain(score(metric, rows)) for metric in metrics},
                "controls": {"no-audio": {metric.name: plain(score(metric, deaf)) for metric in metrics}},
                "steering": [],
                **more,
            },
        )


def write(path: Path, value: Any) -> None:
    """Write a JSON file; parent folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def layers(count: int = 2, experts: int = 4) -> list[dict[str, Any]]:
    """Return what the routers of so many layers do, as statistics have it."""
    return [
        {"layer": number, "scale": 0.1, "entropy": 1.2, "usage_entropy": 1.3, "effective": 3.7, "dead": 1,
         "load": [2.0 * (expert + 1) / (experts * (experts + 1)) for expert in range(experts)],
         "relative_norm": 0.0123}
        for number in range(count)
    ]  # fmt: skip


#: routing.json, as `steermoe routing` writes it.
ROUTING = {
    "split": "dev",
    "clips": 6,
    "layers": layers(),
    "by": {"duration": {"short": {"clips": 3, "layers": layers()}, "long": {"clips": 3, "layers": layers()}}},
    "knockouts": [
        {"what": "expert", "layer": 1, "expert": 3, "metric": "wer", "value": 0.625, "difference": 0.125,
         "interval": {"low": 0.013, "high": 0.237}, "verdict": "worse"},
        {"what": "mean-gates", "layer": None, "expert": None, "metric": "wer", "value": 0.5,
         "difference": 0.0, "interval": None, "verdict": "not distinguishable"},
    ],
}  # fmt: skip
CERTIFICATES = {
    "certificates": [
        {"name": "frozen-stayed-frozen", "claim": "No frozen tensor moved.", "passed": True,
         "measured": {"encoder": "f6956dac"}, "command": "steermoe certify runs/first"},
        {"name": "batch-invariance", "claim": "A clip stands alone.", "passed": False,
         "measured": {"loss": 0.125}},
        {"name": "whole-splits", "claim": "Every clip is scored.", "passed": None, "why": "no split"},
    ]
}  # fmt: skip
