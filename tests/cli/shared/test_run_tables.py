"""The table of a run shows error rates and accuracies, each with what it has to be compared with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


@pytest.fixture
def answered(rig: Rig) -> Path:
    """Return the folder of a run that is scored by error rate and accuracies."""
    text = rig.file.read_text()
    more = '[[metrics]]\nuse = "exact-match"\n\n[[metrics]]\nuse = "token-accuracy"\n\n'
    rig.file.write_text(text.replace("[[callbacks]]", more + "[[callbacks]]"))
    return rig.run("train.steps=2")


def test_accuracies_have_a_table_of_their_own(capsys: pytest.CaptureFixture[str], answered: Path) -> None:
    """A line each, beside the control, the best constant answer and the ceiling."""
    scores, dev, other = capsys.readouterr().out.split("accuracies on ")

    assert "WER" in scores
    assert "EXACT" not in scores
    title, header, _, *rows = dev.splitlines()
    assert title.strip() == "dev, with 95 % intervals"
    assert header.split() == [
        "accuracy", "judged", "unparsed", "score", "no-audio", "constant", "ceiling",
    ]  # fmt: skip
    found = json.loads((answered / "evaluations" / "dev" / "scores.json").read_text())["metrics"]
    (exact,) = (row.split() for row in rows if "exact-match" in row)
    assert exact[:4] == ["exact-match", "4", "–", f"{found['exact-match']['value']:.3f}"]
    assert exact[-2:] == ["0.250", "1.000"]  # four clips with four texts
    assert other.startswith("other")


def test_answers_that_are_worse_than_wrong_have_a_line(
    capsys: pytest.CaptureFixture[str], answered: Path
) -> None:
    """Below the table of a run, and below that of several; both say where to look."""
    found = json.loads((answered / "evaluations" / "dev" / "scores.json").read_text())["pathologies"]
    there = ", ".join(f"{one['count']} {name}" for name, one in found.items() if one["count"])
    line = f"tiny, dev: {there} among 4 answers (`steermoe score RUN --pathologies` shows them)\n"
    assert "too-long" in there
    assert line in capsys.readouterr().out

    assert main(["results", str(answered)]) == 0
    assert line in capsys.readouterr().out
    assert main(["results", str(answered), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)[0]["pathologies"]
    assert counts == {name: one["count"] for name, one in found.items() if one["count"]}


def test_scores_say_which_way_is_better(answered: Path) -> None:
    """So that whoever reads the file need not know the metric."""
    found = json.loads((answered / "evaluations" / "dev" / "scores.json").read_text())["metrics"]

    assert {name: score["higher_is_better"] for name, score in found.items()} == {
        "wer": False, "cer": False, "exact-match": True, "token-accuracy": True,
    }  # fmt: skip


def test_steering_is_shown_by_layer(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Entropy, experts in use, dead ones, scale, size of the shift and every expert's load; as JSON, too."""
    run = rig.run("train.steps=2")
    shown = capsys.readouterr().out.partition("steering on dev")[2].splitlines()
    records = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())["steering"]

    header = " ".join(" ".join(shown[:4]).split())
    for name in ("layer", "entropy", "experts", "dead", "scale", "shift", "load"):
        assert name in header
    for record in records:
        expected = [
            str(record["layer"]),
            f"{record['entropy']:.2f}",
            f"{record['effective']:.1f}",
            str(record["dead"]),
            f"{record['scale']:.3f}",
            f"{record['relative_norm']:.3f}",
            *(f"{100 * share:.0f}" for share in record["load"]),
        ]
        assert expected in [line.split() for line in shown]
    rig.run("train.steps=2", flags=("--json",))
    assert json.loads(capsys.readouterr().out)[0]["splits"]["dev"]["steering"] == records


def test_figures_have_room_in_80_columns(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of many error rates two are shown, whole; the others are named with the command that shows them."""
    monkeypatch.setenv("COLUMNS", "80")
    rules = ", ".join(f'{{use="wer", normalise="{rule}"}}' for rule in ("basic", "raw", "zh"))
    rig.run(f"metrics=[{rules}]")

    out = capsys.readouterr().out
    assert "beside these: wer-zh (`steermoe score RUN` shows all)" in out
    assert "…" not in out.partition("beside these")[0]
