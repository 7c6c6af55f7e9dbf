"""`steermoe routing`: tables that fit a terminal of 80 columns, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.rig import sentence

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


def test_tables(rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Layers, what labels tell, a label, knockouts; ten experts take two tables each."""
    monkeypatch.setenv("COLUMNS", "80")
    run = rig.run("adapter.experts=10")
    capsys.readouterr()

    assert main(["routing", str(run), "--knockout", "--limit", "3", "--by", "duration"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert text.count("dev, 3 clips: share of each expert (%)") == 2
    assert "what a label tells of the expert, in nats" in text
    assert text.count("by duration: share of each expert (%)") == 2
    assert text.count("wer: what changes without an expert, or without a whole layer") == 2
    heads = [line.split() for line in lines if line.startswith("layer")]
    assert heads[0] == ["layer", *(f"e{n}" for n in range(8)), "nats", "in", "use", "dead", "shift", "scale"]
    assert heads[1] == ["layer", "e8", "e9"]
    assert "\nunsteered: " in text
    assert "\nwith mean gates: " in text
    assert "of 35 knockouts; about 2 would by chance" in text


def test_json(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the file says, of the split that is asked for."""
    assert main(["routing", str(finished), "--split", "other", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((finished / "evaluations" / "other" / "routing.json").read_text())
    assert found["split"] == "other"


@pytest.mark.parametrize("limit", ["0", "-1", "few"])
def test_a_limit_that_is_none(finished: Path, limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    assert main(["routing", str(finished), f"--limit={limit}"]) == 2
    assert "is not a whole number of at least 1" in sentence(capsys)
