"""`steermoe results --differences`: tables and sentences for people, pages, papers and programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steermoe_core.cli.main import main
from tests.rig import sentence
from tests.run.copies import change, copied, say

DIFFERENCES = ("results", "--differences")


@pytest.fixture
def pair(scored: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return a run whose every word is wrong, and one of other pooling that is right."""
    other = copied(scored, "other_2", experiment__name="other_2", projector__pool={"kernel": 4})
    say(scored, "one", "two", "three", "four")
    say(other, "zero", "one", "two", "three")
    capsys.readouterr()
    return [str(scored), str(other)]


def test_terminal(
    pair: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs, the scores, what was not controlled, and what may be said."""
    monkeypatch.setenv("COLUMNS", "120")
    assert main([*DIFFERENCES, *pair, "--split", "dev"]) == 0

    out = capsys.readouterr().out
    assert "projector.pool.kernel" in out
    assert "train.steps" not in out
    assert "warning: pooling differs: projector.pool.kernel is 2 in tiny, 4 in other_2\n" in out
    assert (
        "other_2 is better than tiny on 4 clips of dev (WER difference -1.000, "
        "95 % interval -1.000 … -1.000, probability of improvement 1.00)\n"
    ) in out
    assert "one seed of tiny and other_2: the intervals are about other clips, not about other seeds" in out


def test_markdown(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Tables with their titles, sentences as a list."""
    assert main([*DIFFERENCES, *pair, "--split", "dev", "--metric", "cer", "--markdown"]) == 0

    out = capsys.readouterr().out
    assert "|  | tiny | other_2 |\n| --- | --- | --- |\n" in out
    assert "| projector.pool.kernel | 2 | 4 |\n" in out
    assert "| tiny | dev | 17 |" in out
    assert " | CER | CER difference | no-audio CER |\n" in out
    assert "\n* other_2 is better than tiny on 4 clips of dev (CER difference -" in out


def test_latex(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Ready for a paper: names are escaped."""
    assert main([*DIFFERENCES, *pair, "--latex"]) == 0

    out = capsys.readouterr().out
    assert "\\begin{tabular}{lllrrrrrrrr}\n\\toprule\n" in out
    assert "\nother\\_2 & dev & 17 & 644 & " in out
    assert r" & -1.000 (-1.000 \ldots{} -1.000) better & " in out
    assert "% warning: pooling differs" in out


def test_json(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure of every metric."""
    assert main([*DIFFERENCES, *pair, "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["labels"] == ["tiny", "other_2"]
    assert found["settings"] == {"projector.pool.kernel": [2, 4]}
    assert len(found["warnings"]) == 1
    against = found["rows"][1]["metrics"]["wer"]["against"]
    assert (against["value"], against["improvement"], against["verdict"]) == (-1.0, 1.0, "better")
    assert len(found["sentences"]) == 4


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--split", "tset"], "no run has the split 'tset'; there are dev, other"),
        (["--json", "--latex"], "not allowed with argument --json"),
    ],
)
def test_usage(pair: list[str], words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is asked for and not there is named."""
    assert main([*DIFFERENCES, *pair, *words]) == 2
    assert reason in sentence(capsys)


def test_one_run_is_no_comparison(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nor are seeds of one experiment."""
    assert main([*DIFFERENCES, pair[0]]) == 2
    assert "add a run of another experiment to compare with" in sentence(capsys)


def test_other_plugins(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What one run had installed and the other had not is a row, with a dash where it was not."""
    path = Path(pair[1]) / "lock.json"
    change(path, "plugins", "steermoe-extra", value="1.2")
    change(path, "packages", "soxr", value=None)

    assert main([*DIFFERENCES, *pair, "--markdown"]) == 0
    assert "| plugins.steermoe-extra | – | 1.2 |\n" in capsys.readouterr().out
    assert main([*DIFFERENCES, *pair, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["surroundings"]["plugins.steermoe-extra"] == [[None], ["1.2"]]
