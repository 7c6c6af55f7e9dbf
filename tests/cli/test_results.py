"""`steermoe results`: one table for people, Markdown for pages, JSON for programs."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.rig import sentence
from tests.run.copies import change, copied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.rig import Rig, Trained


PLAIN = ('adapter={use="none"}', 'experiment.name="plain"')


@pytest.fixture
def pair(
    rig: Rig, finished: Path, trained_once: Callable[..., Trained], capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Return the folders of a run and of its ablation."""
    plain = trained_once(*PLAIN).copied(rig)
    capsys.readouterr()
    return [str(finished), str(plain)]


def test_markdown(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A row a run, with the difference to the ablation in words."""
    words = ["results", *pair, "--against", pair[1], "--split", "dev", "--metric", "wer", "--markdown"]
    assert main(words) == 0

    header, line, tiny, plain, *_ = capsys.readouterr().out.splitlines()
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    assert columns == [
        "experiment", "split", "seeds", "trained", "audio tokens/s", "s/step", "loss", "gate entropy",
        "WER", "WER difference", "no-audio WER",
    ]  # fmt: skip
    assert line.count("---") == len(columns)
    assert [row.split(" | ")[0] for row in (tiny, plain)] == ["| tiny", "| plain"]
    assert any(verdict in tiny for verdict in ("not distinguishable", "better", "worse"))
    assert plain.split(" | ")[7] == plain.split(" | ")[9] == "–"


def test_against_seeds(rig: Rig, pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What a shell makes of `--against plain-*` is one baseline of all its seeds, and the table says so."""
    other = str(rig.run(*PLAIN, "experiment.seed=18"))
    capsys.readouterr()
    base = [pair[1], other]

    assert main(["results", pair[0], "--against", *base, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in rows] == ["tiny", "tiny"]
    assert [row["against"]["seeds"] for row in rows] == [[17, 18]] * 2
    assert main(["results", *base, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)[0]["metrics"]["wer"]["value"]
    wer = rows[0]["metrics"]["wer"]
    assert wer["against"]["value"] == pytest.approx(wer["value"] - plain)

    assert main(["results", pair[0], "--against", *base, "--markdown"]) == 0
    assert "* differences are to plain, seed 17, 18\n" in capsys.readouterr().out


def test_table(pair: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a terminal."""
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["results", *pair, "--metric", "wer", "--metric", "cer"]) == 0

    out = capsys.readouterr().out
    assert all(word in out for word in ("tiny", "plain", "dev", "other", "WER", "CER", "644", "entropy"))


def test_the_first_metric_is_shown_unless_others_are_asked_for(
    pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A table has the headline; JSON has everything."""
    assert main(["results", *pair, "--markdown"]) == 0
    assert "CER" not in capsys.readouterr().out

    assert main(["results", *pair, "--json"]) == 0
    assert [*json.loads(capsys.readouterr().out)[0]["metrics"]] == ["wer", "cer"]


def test_latex(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A table for a paper, of the same cells."""
    assert main(["results", *pair, "--split", "dev", "--latex"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [r"\begin{tabular}{lllrrrrrrr}", r"\toprule"]
    assert lines[3].startswith("experiment & split & seeds & trained & ")
    assert lines[5].startswith("tiny & dev & 17 & 644 & ")


def test_json(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The rows themselves, of the splits and metrics that were asked for."""
    assert main(["results", *pair, "--split", "other", "--metric", "cer", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert [(row["experiment"], row["split"], [*row["metrics"]]) for row in found] == [
        ("tiny", "other", ["cer"]),
        ("plain", "other", ["cer"]),
    ]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--split", "tset"], "no run has the split 'tset'; there are dev, other"),
        (["--metric", "bleu"], "no run has the metric 'bleu'; there are wer, cer"),
        (["--against", "nowhere"], "is not a run folder"),
    ],
)
def test_usage(finished: Path, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is asked for and not there is named, with what there is."""
    assert main(["results", str(finished), *words]) == 2
    assert reason in sentence(capsys)


class TestManyFolders:
    """What a shell makes of `runs/*`."""

    @pytest.fixture
    def shelf(self, scored: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
        """Return all that is in `runs`: two finished runs, three that are not, a folder and a file."""
        runs = scored.parent
        copied(scored, "other_2", experiment__name="other_2")
        shutil.rmtree(copied(scored, "untrained") / "adapter")
        shutil.rmtree(copied(scored, "unscored") / "evaluations")
        half = copied(scored, "half")
        shutil.rmtree(half / "evaluations" / "other")
        change(half / "status.json", "state", value="interrupted")
        (runs / "notes").mkdir()
        (runs / "hooks.txt").touch()
        capsys.readouterr()
        return sorted(str(path) for path in runs.iterdir() if "-" not in path.name)

    @pytest.mark.parametrize("command", ["results", "results --differences", "report"])
    def test_only_finished_runs_are_shown(
        self, shelf: list[str], command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The others are left out, with a note each that says why."""
        assert main([*command.split(), *shelf]) == 0

        place = shelf[0].removesuffix("half")
        no_run = "is left out: it is not a run folder: it has no experiment.toml"
        unscored = "is left out: it has no scores yet; finish it with `steermoe run"
        unfinished = "is left out: it is not finished; finish it with `steermoe run"
        assert capsys.readouterr().err.splitlines() == [
            f"{place}half {unfinished} {place}half/experiment.toml`",
            f"{place}hooks.txt {no_run}",
            f"{place}notes {no_run}",
            f"{place}unscored {unscored} {place}unscored/experiment.toml`",
            f"{place}untrained {unscored} {place}untrained/experiment.toml`",
        ]

    @pytest.mark.parametrize("command", ["results", "results --differences", "report"])
    def test_nothing_is_left(
        self, shelf: list[str], command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """One sentence, and the exit code of a usage error; a path that is not there is one, too."""
        bad = [path for path in shelf if not path.endswith(("tiny", "other_2"))]
        assert main([*command.split(), *bad]) == 2
        said = capsys.readouterr().err
        assert said == "steermoe: none of these 5 is a run with scores; finish one with `steermoe run`\n"

        assert main([*command.split(), *shelf, "typo"]) == 2
        assert sentence(capsys) == "typo does not exist"

    @pytest.mark.parametrize("command", ["results", "results --differences"])
    def test_alone(self, shelf: list[str], command: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A run that is named alone has to be one with scores."""
        for path in shelf:
            if path.endswith(("unscored", "untrained", "notes")):
                assert main([*command.split(), path]) == 2
                assert sentence(capsys).startswith(path)


def test_without_metrics(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An experiment may have no score: the tables show all else."""
    plain = copied(scored, "plain_2", experiment__name="plain_2", metrics=[])
    for path in plain.glob("evaluations/*/scores.json"):
        change(path, "metrics", value={})
        change(path, "controls", value={"no-audio": {}})
    other = copied(plain, "plain_3", experiment__name="plain_3")
    capsys.readouterr()

    places = {"A": str(plain), "B": str(other), "OTHER": str(scored)}
    for line in (
        "results A", "results A --json", "results A --markdown", "results A --latex", "results A --against B",
        "results A OTHER", "results A B --differences", "results A B --differences --json",
        "results A OTHER --differences", "results OTHER A --differences",
        "evaluate A --from-predictions", "report A B --json", "push A me/it --dry-run", "evaluate A",
    ):  # fmt: skip
        assert main([places.get(word, word) for word in line.split()]) == 0, line
    assert "Traceback" not in capsys.readouterr().err
