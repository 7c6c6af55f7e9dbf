"""The encoder's own decoder is scored whole, on the run's splits and by its rulers, without any training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from steermoe_core.plugins import load_registry
from steermoe_core.use.card import shared_files
from tests.rig import files, sentence, status
from tests.run.copies import change, copied

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


@pytest.fixture
def run(scored: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a finished run whose encoder can write."""
    found = copied(scored, "speaking", encoder={"use": "speaking"})
    capsys.readouterr()
    return found


def predictions(run: Path, split: str) -> list[dict]:
    """Return the lines of the own decoder's predictions."""
    path = run / "own-decoder" / "evaluations" / split / "predictions.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_clip_is_scored(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the run's own predictions; the run's files are left alone."""
    before = files(run)
    assert main(["evaluate", str(run), "--own-decoder", "--batch-size", "2"]) == 0

    assert {name: time for name, time in files(run).items() if not name.startswith("own-decoder/")} == before
    rows = predictions(run, "dev")
    theirs = [
        json.loads(line)
        for line in (run / "evaluations" / "dev" / "predictions.jsonl").read_text().splitlines()
    ]
    facts = ("id", "reference", "seconds", "cluster")
    assert [[row[key] for key in facts] for row in rows] == [[row[key] for key in facts] for row in theirs]
    assert all(row["hypothesis"] == " ".join(["zero"] * int(4 * row["seconds"])) for row in rows)
    said = json.loads((run / "own-decoder" / "evaluations" / "dev" / "scores.json").read_text())
    assert (said["examples"], said["left_out"], said["decoding"]["batch_size"]) == (4, {}, 2)
    assert list(said["metrics"]) == ["wer", "cer"]
    assert status(run / "own-decoder")["state"] == "finished"
    assert "own decoder" in capsys.readouterr().out


def test_again_only_on_request(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One split, then the other, then one of them anew."""
    words = ["evaluate", str(run), "--own-decoder", "--json"]
    assert main([*words, "--split", "dev"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert [row["split"] for row in first] == ["dev"]
    assert first[0]["metrics"]["wer"]["interval"] is not None

    path = run / "own-decoder" / "evaluations" / "dev" / "scores.json"
    changed = path.stat().st_mtime_ns
    assert main(words) == 0
    assert [row["split"] for row in json.loads(capsys.readouterr().out)] == ["dev", "other"]
    assert path.stat().st_mtime_ns == changed
    assert main(words) == 0
    assert "has these scores already; --again scores them again" in capsys.readouterr().err
    assert main([*words, "--split", "dev", "--again"]) == 0
    assert path.stat().st_mtime_ns > changed


def test_a_run_need_not_have_begun(run: Path, tmp_path: Path) -> None:
    """Its experiment is enough."""
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "experiment.toml").write_text((run / "experiment.toml").read_text())
    assert main(["evaluate", str(fresh), "--own-decoder", "--split", "dev"]) == 0
    assert len(predictions(fresh, "dev")) == 4


def test_what_cannot_be(rig: Rig, scored: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No such decoder, no such split, other weights: each in one sentence."""
    assert main(["evaluate", str(scored), "--own-decoder"]) == 2
    assert sentence(capsys) == "encoder tiny has no decoder of its own"
    assert main(["evaluate", str(run), "--own-decoder", "--split", "tset"]) == 2
    assert "has no split 'tset'; its splits are dev, other" in sentence(capsys)
    change(run / "lock.json", "frozen", "encoder", value="0" * 64)
    assert main(["evaluate", str(run), "--own-decoder"]) == 1
    assert "was trained on encoder weights 000000000000, but here they are" in sentence(capsys)
    assert status(run / "own-decoder")["state"] == "failed"


def test_the_adapters_page_has_it_beside_the_scores(run: Path) -> None:
    """Once it was scored: a reader sees what the frozen encoder's own decoder reaches on the same clips."""
    before = shared_files(run, "me/mine", load_registry())["README.md"].decode()
    assert main(["evaluate", str(run), "--own-decoder", "--split", "dev"]) == 0
    after = shared_files(run, "me/mine", load_registry())["README.md"].decode()

    own = json.loads((run / "own-decoder" / "evaluations" / "dev" / "scores.json").read_text())
    assert "own decoder" not in before
    assert f"the encoder's own decoder {own['metrics']['wer']['value']:.3f}" in after
    assert [line.split(" | ")[0] for line in after.splitlines() if "own decoder" in line] == ["| dev"] * 2
