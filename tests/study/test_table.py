"""One table over finished runs: seeds are merged, differences are paired, every figure is the runs' own."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.errors import UsageError
from steermoe_core.evaluate.bootstrap import interval
from steermoe_core.evaluate.config import WerConfig
from steermoe_core.evaluate.metrics import Wer
from steermoe_core.evaluate.prediction import read
from steermoe_core.plugins import load_registry
from steermoe_core.study.table import table
from steermoe_core.system import records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.rig import Rig, Trained

WER, SEED, PLAIN = Wer(WerConfig()), "experiment.seed=18", 'adapter={use="none"}'


def rows(paths: list[Path], against: list[Path] | None = None) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    found, base = table(paths, load_registry(), against or [])
    assert (base is None) == (against is None)
    return [records.plain(row) for row in found]


def scores(run: Path, split: str = "dev") -> dict[str, Any]:
    """Return scores.json."""
    return dict(json.loads((run / "evaluations" / split / "scores.json").read_text()))


def say(run: Path, *texts: str) -> None:
    """Put other answers into the predictions of the split dev."""
    path = run / "evaluations" / "dev" / "predictions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    changed = [{**line, "hypothesis": text} for line, text in zip(lines, texts, strict=True)]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))


@pytest.fixture
def plain(rig: Rig, trained_once: Callable[..., Trained]) -> Path:
    """Return a run without an adapter."""
    return trained_once(PLAIN).copied(rig)


@pytest.fixture
def seeds(rig: Rig, finished: Path, trained_once: Callable[..., Trained]) -> list[Path]:
    """Return two runs that differ in their seed."""
    return [finished, trained_once(SEED).copied(rig)]


def test_a_row_is_what_the_run_says(finished: Path) -> None:
    """Every figure of one run, as its own files have it."""
    row, other = rows([finished])

    said = scores(finished)
    assert (row["experiment"], row["split"], row["seeds"], row["clips"]) == ("tiny", "dev", [17], 4)
    assert other["split"] == "other"
    assert row["trainable_parameters"] == 644
    assert row["audio_tokens_per_second"] == said["audio_tokens_per_second"] == pytest.approx(5, rel=0.5)
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert row["loss"] == {"start": losses[0], "end": losses[-1]}
    assert row["seconds_per_step"] > 0
    assert row["gate_entropy"] == pytest.approx(
        sum(layer["entropy"] for layer in said["steering"]) / len(said["steering"])
    )
    for name, score in row["metrics"].items():
        assert score["value"] == score["lowest"] == score["highest"] == said["metrics"][name]["value"]
        assert score["interval"] == said["metrics"][name]["interval"]
        assert score["controls"] == {"no-audio": said["controls"]["no-audio"][name]["value"]}


def test_runs_that_differ_only_in_the_seed_are_one_row(seeds: list[Path], plain: Path) -> None:
    """Mean, extremes, an interval over clips with the edits of both runs; another setting is another row."""
    say(seeds[0], "zero", "one", "three", "three")
    say(seeds[1], "zero", "two", "three", "four")
    for run, value in zip(seeds, (0.25, 0.75), strict=True):
        path = run / "evaluations" / "dev" / "scores.json"
        scores = json.loads(path.read_text())
        scores["metrics"]["wer"]["value"] = value
        path.write_text(json.dumps(scores))

    found = rows([*seeds, plain])
    merged, _, single, _ = found

    score = merged["metrics"]["wer"]
    assert (merged["seeds"], len(merged["runs"])) == ([17, 18], 2)
    assert (score["value"], score["lowest"], score["highest"]) == (0.5, 0.25, 0.75)
    answers = [read(run / "evaluations" / "dev" / "predictions.jsonl") for run in seeds]
    pooled = [WER.edits(one) + WER.edits(other) for one, other in zip(*answers, strict=True)]
    between = interval(pooled, seed=17)
    assert between is not None
    assert score["interval"] == {"low": between.low, "high": between.high}
    assert (single["seeds"], single["gate_entropy"]) == ([17], None)
    assert rows([*reversed(seeds), plain]) == found


@pytest.mark.parametrize(
    ("said", "value", "verdict"),
    [
        (("zero", "one", "two", "three"), -1.0, "better"),
        (("one", "two", "three", "four"), 0.0, "not distinguishable"),
        (("one one", "two two", "three three", "four four"), 1.0, "worse"),
        (("zero", "two two", "three", "four"), 0.0, "not distinguishable"),
    ],
)
def test_differences_are_paired_clip_by_clip(
    seeds: list[Path], plain: Path, said: tuple[str, ...], value: float, verdict: str
) -> None:
    """Against a run whose every word is wrong; a difference whose interval holds 0 is none."""
    say(plain, "one", "two", "three", "four")
    for run in seeds:
        say(run, *said)

    merged = rows(seeds, [plain])[0]["metrics"]["wer"]["against"]

    assert (merged["value"], merged["verdict"]) == (value, verdict)
    assert rows([plain], seeds)[0]["metrics"]["wer"]["against"]["value"] == -value


def test_a_run_is_not_compared_with_itself(finished: Path, plain: Path) -> None:
    """Its row stands beside the others, without a difference."""
    found = rows([finished, plain], [plain])

    assert ["against" in row["metrics"]["wer"] for row in found] == [True, True, False, False]


def test_what_cannot_be_merged_or_compared(seeds: list[Path], plain: Path, rig: Rig) -> None:
    """Other clips, no scores, no run, several experiments to compare with: each in one sentence."""
    with pytest.raises(UsageError, match="differ in more"):
        rows(seeds, [seeds[0], plain])
    with pytest.raises(UsageError, match="is not a run folder"):
        rows([rig.folder])
    path = seeds[1] / "evaluations" / "dev" / "predictions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(UsageError, match="were scored on different clips of dev"):
        rows(seeds)
    with pytest.raises(UsageError, match="are in one run only"):
        rows([plain], [seeds[1]])
    shutil.rmtree(plain / "adapter")
    with pytest.raises(UsageError, match="has no scores yet; finish it"):
        rows([plain])
