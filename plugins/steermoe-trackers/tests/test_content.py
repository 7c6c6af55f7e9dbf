"""What is sent, from the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core import Edits, Example, Scores
from steermoe_core.evaluate.scores import Interval, Score
from steermoe_trackers.content import Figures, MetricsFile, Run, score_figures, worst_clips

if TYPE_CHECKING:
    from collections.abc import Iterable


def write(path: Path, lines: Iterable[object], end: str = "") -> None:
    """Append lines to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines) + end)


class TestMetricsFile:
    """metrics.jsonl, read while it grows."""

    def test_lines_of_a_step_are_one(self, tmp_path: Path) -> None:
        """A step is complete when a later one begins, or at the end."""
        metrics = MetricsFile(tmp_path / "metrics.jsonl")
        assert list(metrics.read(whole=True)) == []

        write(metrics.path, [{"step": 1, "loss": 2.0}, {"step": 1, "validation": {"wer": 0.5}}])
        assert list(metrics.read(whole=False)) == []
        write(metrics.path, [{"step": 2, "loss": 1.0}], end='{"step": 3, "lo')
        assert list(metrics.read(whole=False)) == [Figures(1, {"train/loss": 2.0, "validation/wer": 0.5})]
        assert list(metrics.read(whole=True)) == [Figures(2, {"train/loss": 1.0})]

    def test_names(self, tmp_path: Path) -> None:
        """By group, layer, expert and map; what is missing has none."""
        steering = [{"layer": 0, "entropy": 1.5, "load": [0.25, 0.75]}, {"layer": "after", "dead": 1}]
        line = {
            "step": 7,
            "losses": {"ctc": 0.25},
            "learning_rate": {"router": 1e-3},
            "gradient_norm": {"router": None},
            "seconds_per_step": 2,
            "steering": steering,
            "lora": [{"layer": 2, "map": "q", "a": 3.0}],
            "note": "a text",
            "flag": True,
        }
        write(tmp_path / "metrics.jsonl", [line])

        (found,) = MetricsFile(tmp_path / "metrics.jsonl").read(whole=True)
        assert found == Figures(
            7,
            {
                "train/losses/ctc": 0.25,
                "learning_rate/router": 1e-3,
                "train/seconds_per_step": 2.0,
                "steering/layer_0/entropy": 1.5,
                "steering/layer_0/load/0": 0.25,
                "steering/layer_0/load/1": 0.75,
                "steering/layer_after/dead": 1.0,
                "lora/layer_2/q/a": 3.0,
            },
        )


def test_scores_have_intervals_and_controls() -> None:
    """A score without a value has no figure."""
    edits = Edits(1, 0, 0, 4)
    wer = Score(metric="wer", value=0.25, interval=Interval(0.1, 0.5), edits=edits, examples=2, clusters=2)
    none = Score(metric="cer", value=None, interval=None, edits=edits, examples=2, clusters=2)
    control = Score(metric="wer", value=1.0, interval=None, edits=edits, examples=2, clusters=2)
    scores = Scores(
        metrics={"wer": wer, "cer": none},
        controls={"no-audio": {"wer": control}},
        examples=2,
        left_out={},
        steering=[],
    )

    assert score_figures("dev", scores) == {
        "eval/dev/wer": 0.25,
        "eval/dev/wer_low": 0.1,
        "eval/dev/wer_high": 0.5,
        "eval/dev/no-audio/wer": 1.0,
    }


def test_settings_are_those_of_the_experiment(finished: Path) -> None:
    """By path; a list of tables by number."""
    settings = Run.of(finished).settings

    assert settings["train/steps"] == 6
    assert settings["projector/pool/kernel"] == 2
    assert settings["metrics/1/use"] == "cer"


def test_the_worst_clips_come_first(finished: Path) -> None:
    """With their audio, unless it is missing; clips without errors are left out."""
    path = finished / "evaluations" / "dev" / "predictions.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row, errors in zip(rows, (1, 0, 3, 1), strict=True):
        row["edits"] = {"wer": [errors, 0, 0, 2]}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sounds = {row["id"]: next(Path("dev").rglob(Path(row["id"]).name + "*")) for row in rows}
    examples = [Example(id=name, audio=sound, text="", seconds=1.0) for name, sound in sounds.items()]
    ties = sorted((rows[0]["id"], rows[3]["id"]))
    sounds[ties[0]].unlink()

    clips = worst_clips(finished, "dev", examples, 5)

    assert [(clip.id, clip.errors) for clip in clips] == [(rows[2]["id"], 3), (ties[0], 1), (ties[1], 1)]
    assert [clip.waveform is None for clip in clips] == [False, True, False]
    assert clips[0].row["hypothesis"] == rows[2]["hypothesis"]
    assert len(worst_clips(finished, "dev", examples, 1)) == 1
