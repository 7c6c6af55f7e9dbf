"""N-best rescoring in a run: scored, recorded, and the same from a trained model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import steermoe_core
from tests.rig import texts

if TYPE_CHECKING:
    from tests.rig import Rig

SOFT = 'projector={use="soft-ctc", pool={kernel=2}, start_steps=6, blank_bias=-20.0}'


def test_a_run_is_scored_by_what_it_says(rig: Rig) -> None:
    """`transcribe` chooses the same texts; `ask`, for which nothing can be proposed, generates."""
    run = rig.run(SOFT, "evaluate.nbest=4", "evaluate.nbest_weight=0.01", "train.steps=6")
    scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())
    lines = (run / "evaluations" / "dev" / "predictions.jsonl").read_text().splitlines()
    names = [json.loads(line)["id"] for line in lines]
    said = texts(run)
    model = steermoe_core.load(run)

    assert {key: scores["decoding"][key] for key in ("greedy", "nbest", "nbest_weight")} == {
        "greedy": False,
        "nbest": 4,
        "nbest_weight": 0.01,
    }
    files = [rig.folder / "dev" / name for name in names]
    assert any(said.values())
    assert model.transcribe(files) == [said[name] for name in names]
    model.ask(files[0], "What is said?")
