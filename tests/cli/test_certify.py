"""`steermoe certify`: what a run's numbers rest on, as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from steermoe_core.cli.main import main
from tests.rig import files, sentence
from tests.tiny import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.rig import Rig


def test_a_failure_is_exit_code_1(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rig scores what it trains on; the table fits 80 columns, and only one file is written."""
    monkeypatch.setenv("COLUMNS", "80")
    before = files(finished)

    assert main(["certify", str(finished)]) == 1

    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "no-train-eval-overlap      NO     dev: 4 of 4 clips were trained on" in shown
    assert shown.count(" yes ") == 5
    after = files(finished)
    assert {name for name in after if after[name] != before.get(name)} == {"certificates.json"}


def test_all_hold(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0; the JSON is the file."""
    write_folder(rig.folder / "new", ["please transcribe", "what is it"], [1.2, 0.9])
    run = rig.run('data.eval.dev.path="new"', 'data.eval.other.path="new"')
    assert "CERTIFICATE" not in capsys.readouterr().out

    assert main(["certify", str(run), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((run / "certificates.json").read_text())
    assert [one["passed"] for one in found["certificates"]] == [True] * 6


def test_not_a_trained_run(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    assert main(["certify", str(rig.folder)]) == 2
    assert sentence(capsys) == f"{rig.folder} is not a run folder: it has no experiment.toml"
