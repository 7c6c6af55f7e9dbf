"""`steermoe evaluate`: scores of a run that is trained."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from steermoe_core.cli.main import main
from tests.rig import files, sentence, status, texts

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.rig import Rig


def test_scored_run_is_left_alone(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, prints the table and touches no file."""
    before = files(finished)

    assert main(["evaluate", str(finished)]) == 0

    shown = capsys.readouterr()
    assert shown.err == f"{finished} has these scores already; --again scores them again\n"
    assert shown.out.startswith("scores, ")
    assert files(finished) == before


def test_missing_scores_are_made(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only those of the chosen split, only where there are none."""
    expected = texts(finished, "other")
    for split in ("dev", "other"):
        (finished / "evaluations" / split / "scores.json").unlink()

    assert main(["evaluate", str(finished), "--split", "other", "--json"]) == 0

    (found,) = json.loads(capsys.readouterr().out)
    assert found["splits"].keys() == {"other"}
    assert texts(finished, "other") == expected
    assert not (finished / "evaluations" / "dev" / "scores.json").exists()


def test_again_gives_the_same_texts_at_any_batch_size(finished: Path) -> None:
    """Only the scores' times and batch size change; nothing else in the folder is touched."""
    before, expected = files(finished), {split: texts(finished, split) for split in ("dev", "other")}

    for size in (1, 8):
        assert main(["evaluate", str(finished), "--again", "--batch-size", str(size)]) == 0
        assert {split: texts(finished, split) for split in ("dev", "other")} == expected
        scores = json.loads((finished / "evaluations" / "dev" / "scores.json").read_text())
        together = {"batch_size": size, "batch_tokens": None}
        assert scores["decoding"] == {"greedy": True, **together, "nbest": 0, "nbest_weight": None}

    after = files(finished)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {
        n for n in after if n.startswith("evaluations/")
    }
    assert status(finished)["state"] == "finished"


def test_unknown_split(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and the splits that there are."""
    assert main(["evaluate", str(finished), "--split", "test"]) == 2
    assert sentence(capsys) == f"{finished} has no split 'test'; its splits are dev, other"


def test_run_without_adapter(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the command that finishes it."""
    monkeypatch.setenv("RIG", "interrupt@3")
    run = rig.run(expect=130)

    assert main(["evaluate", str(run)]) == 2
    expected = f"{run} has no trained adapter yet; finish it with `steermoe run {run / 'experiment.toml'}`"
    assert sentence(capsys) == expected


def test_not_a_run_folder(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    assert main(["evaluate", str(rig.folder)]) == 2
    assert sentence(capsys) == f"{rig.folder} is not a run folder: it has no experiment.toml"
