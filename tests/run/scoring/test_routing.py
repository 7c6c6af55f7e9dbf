"""routing.json of a finished run: figures of its own clips, knockouts that go on where they were stopped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.errors import DataError, UsageError
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.plugins import load_registry
from steermoe_core.run.console import Console
from steermoe_core.run.scoring.routing import Request, routing
from steermoe_core.system.records import plain
from tests.rig import files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

PLACE = "evaluations/dev"
#: 3 layers of 3 experts: each, each layer, all layers, mean gates.
KNOCKOUTS = 3 * 3 + 3 + 2


def look(run: Path, **request: Any) -> dict[str, Any]:
    """Return what was observed, as JSON; the file says the same."""
    found = routing(run, load_registry(), Console(quiet=True), Request(**request))
    written = json.loads((run / "evaluations" / found.split / "routing.json").read_text())
    assert written == json.loads(json.dumps(plain(found)))
    return dict(written)


def scores(run: Path) -> dict[str, Any]:
    """Return scores.json of the first split."""
    return dict(json.loads((run / PLACE / "scores.json").read_text()))


def test_figures_are_those_of_the_evaluation(finished: Path) -> None:
    """The split's routing is what its scores tell; the clips of a label's values are its parts."""
    before = files(finished)

    found = look(finished)

    assert (found["split"], found["clips"], found["baseline"], found["knockouts"]) == ("dev", 4, None, [])
    assert found["by"].keys() == {"duration"}
    thirds = found["by"]["duration"].values()
    assert sum(one["clips"] for one in thirds) == 4
    for row, wanted in enumerate(scores(finished)["steering"]):
        layer = found["layers"][row]
        for figure in wanted.keys() - {"load"}:
            assert layer[figure] == pytest.approx(wanted[figure], rel=1e-5)
        assert layer["load"] == pytest.approx(wanted["load"], abs=1e-5)
        for expert, share in enumerate(layer["load"]):
            shares = [one["layers"][row]["load"][expert] for one in thirds]
            assert min(shares) - 1e-5 <= share <= max(shares) + 1e-5
    assert [one["layer"] for one in found["information"]["duration"]] == [0, 1, 2]
    after = files(finished)
    assert {name for name in after if after[name] != before.get(name)} == {f"{PLACE}/routing.json"}


def test_knockouts_are_scored_as_the_evaluation_scores(finished: Path) -> None:
    """The model as it is has its score; each knockout its difference, interval and verdict."""
    found = look(finished, knockout=True)

    wer = scores(finished)["metrics"]["wer"]["value"]
    assert found["baseline"] == {"metric": "wer", "value": wer, "clips": 4}
    assert len(found["knockouts"]) == KNOCKOUTS
    for row in found["knockouts"]:
        assert row.keys() == {
            "what", "layer", "expert", "metric", "value", "difference", "interval", "verdict",
        }  # fmt: skip
        assert row["difference"] == pytest.approx(row["value"] - wer)
        assert row["interval"]["low"] <= row["difference"] <= row["interval"]["high"]
        held = row["interval"]["low"] <= 0.0 <= row["interval"]["high"]
        assert (row["verdict"] == "not distinguishable") == held
    whats = [row["what"] for row in found["knockouts"]]
    assert {what: whats.count(what) for what in whats} == {
        "all-layers": 1, "mean-gates": 1, "layer": 3, "expert": 9,
    }  # fmt: skip


def test_without_any_steering_is_the_experiment_without(rig: Rig) -> None:
    """Where only the adapter is trained, taking it out is what a static projector alone gives."""
    still = [f"train.learning_rate.{group}=0.0" for group in ("projector", "steering", "router", "scales")]
    steered, plain = rig.run(*still), rig.run(*still, 'adapter={use="none"}')

    rows = look(steered, knockout=True)["knockouts"]

    assert rows[0]["what"] == "all-layers"
    assert rows[0]["value"] == scores(plain)["metrics"]["wer"]["value"]


def test_knockouts_go_on_where_they_were_stopped(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was scored is in the file at once; it is not scored again, and the end is the same."""
    whole = look(finished, knockout=True)
    (finished / PLACE / "knockouts.jsonl").unlink()
    scored: list[int] = []
    evaluate = Evaluator.evaluate

    def counted(self: Evaluator, examples: Any) -> Any:
        if len(scored) == 6:
            raise KeyboardInterrupt
        scored.append(len(examples))
        return evaluate(self, examples)

    monkeypatch.setattr(Evaluator, "evaluate", counted)
    with pytest.raises(KeyboardInterrupt):
        look(finished, knockout=True)

    assert len(json.loads((finished / PLACE / "routing.json").read_text())["knockouts"]) == 5
    with (finished / PLACE / "knockouts.jsonl").open("a") as file:
        file.write('{"knockout": "cut sho')  # a kill in the middle of a line
    scored.clear()
    monkeypatch.setattr(Evaluator, "evaluate", lambda self, e: scored.append(1) or evaluate(self, e))
    assert look(finished, knockout=True) == whole
    assert len(scored) == 1 + KNOCKOUTS - 6
    assert look(finished) == whole  # they stay, also where none is asked for
    assert len(scored) == 1 + KNOCKOUTS - 6


def test_other_clips_are_other_knockouts(finished: Path) -> None:
    """A limit takes clips from all over the split; knockouts of other clips are not mixed in."""
    found = look(finished, limit=2, knockout=True)
    assert (found["clips"], found["baseline"]["clips"]) == (2, 2)

    assert look(finished)["knockouts"] == []
    assert look(finished, limit=2)["knockouts"] == found["knockouts"]


def test_what_cannot_be_looked_at(rig: Rig, finished: Path) -> None:
    """No such split or label, no gates, no metric, no clip: a sentence each."""
    with pytest.raises(UsageError, match="has no split 'test'; its splits are dev, other"):
        look(finished, split="test")
    with pytest.raises(UsageError, match="no clip has the label 'sex'"):
        look(finished, by=["sex"])
    with pytest.raises(UsageError, match=r"has no routers to observe: its adapter \(NoAdapter\) reports no"):
        look(rig.run('adapter={use="none"}'))
    for sound in (rig.folder / "other").glob("*.wav"):
        sound.write_bytes(b"")
    with pytest.raises(DataError, match="no clip of other can be read"):
        look(finished, split="other")
