"""The scores are sacrebleu's own, with intervals, in every place where scores are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.cli.main import main
from steermoe_core.evaluate.score import score
from steermoe_sacrebleu.config import BleuConfig, ChrfConfig
from tests.predictions import predicted

sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is not installed: pip install sacrebleu")

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

SAID = ["the cat sat on the mat", "a dog barked", "two birds sang loudly", "rain"]
WANTED = ["the cat sat on a mat", "the dog barked loudly", "two birds sang loudly", "heavy rain fell"]
OTHERS = ["a cat was on the mat", "a dog was barking", "two birds were singing", "it rained"]
METRICS = 'metrics=[{use="chrf"}, {use="bleu", tokenize="char"}, {use="wer"}]'


def metric(name: str, **settings: Any) -> Any:
    """Return a metric."""
    from steermoe_sacrebleu.metrics import Bleu, Chrf

    return Bleu(BleuConfig(**settings)) if name == "bleu" else Chrf(ChrfConfig(**settings))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("bleu", {}),
        ("bleu", {"tokenize": "char", "lowercase": True}),
        ("chrf", {}),
        ("chrf", {"word_order": 2}),
    ],
)
def test_the_score_is_that_of_sacrebleu(name: str, settings: dict[str, Any]) -> None:
    """With one reference, and with several."""
    scorer = sacrebleu.metrics.BLEU if name == "bleu" else sacrebleu.metrics.CHRF
    one = [predicted(said, wanted) for said, wanted in zip(SAID, WANTED, strict=True)]
    two = [predicted(said, w, references=(w, o)) for said, w, o in zip(SAID, WANTED, OTHERS, strict=True)]

    for rows, references in ((one, [WANTED]), (two, [WANTED, OTHERS])):
        found = score(metric(name, **settings), rows)
        assert found.value == pytest.approx(scorer(**settings).corpus_score(SAID, references).score / 100)
        assert found.higher_is_better
        assert found.edits is None
        assert found.interval is not None
        assert found.interval.low <= found.value <= found.interval.high
        assert f"nrefs:{len(references)}" in found.details["signature"]


def test_an_example_may_have_fewer_references() -> None:
    """The others have more."""
    rows = [predicted(SAID[0], WANTED[0]), predicted(SAID[1], WANTED[1], references=(WANTED[1], OTHERS[1]))]

    wanted = sacrebleu.metrics.CHRF().corpus_score(SAID[:2], [WANTED[:2], [None, OTHERS[1]]])
    assert score(metric("chrf"), rows).value == pytest.approx(wanted.score / 100)


def test_a_run_is_scored_compared_and_scored_again(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """As by any other metric: scores.json, tables, differences, rescoring, the report."""
    run, other = rig.run(METRICS), rig.run(METRICS, "train.steps=2")
    place = run / "evaluations" / "dev"
    _say(place / "predictions.jsonl", lambda line: line["reference"])
    _say(other / "evaluations" / "dev" / "predictions.jsonl", lambda _: "what")
    capsys.readouterr()

    assert main(["evaluate", str(run), "--from-predictions"]) == 0
    assert "chrf" in capsys.readouterr().out
    found = json.loads((place / "scores.json").read_text())["metrics"]
    assert [found[name]["value"] for name in ("chrf", "bleu")] == pytest.approx([1.0, 1.0])
    assert found["chrf"]["edits"] is None
    assert all(list(line["edits"]) == ["wer"] for line in _lines(place / "predictions.jsonl"))

    assert main(["results", str(run), "--against", str(other), "--json", "--metric", "chrf"]) == 0
    dev = next(row for row in json.loads(capsys.readouterr().out) if row["split"] == "dev")
    against = dev["metrics"]["chrf"]["against"]
    assert against["value"] > 0
    assert against["verdict"] == "better"
    assert main(["results", str(other), str(run), "--differences"]) == 0
    assert "CHRF difference +" in capsys.readouterr().out
    assert main(["report", str(run)]) == 0
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "CHRF" in page
    assert "by WER" in page


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _say(path: Path, answer: Any) -> None:
    """Put other hypotheses into predictions."""
    lines = [{**line, "hypothesis": answer(line)} for line in _lines(path)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
