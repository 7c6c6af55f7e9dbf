"""`steermoe evaluate --from-predictions`: scores from saved answers, exactly those of the evaluation."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.cli.main import main
from steermoe_core.evaluate import rules
from tests.rig import files, sentence

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


def scores(run: Path, split: str = "dev") -> dict[str, Any]:
    """Return a scores.json."""
    return dict(json.loads((run / "evaluations" / split / "scores.json").read_text()))


def answers(run: Path) -> list[dict[str, Any]]:
    """Return the lines of predictions.jsonl."""
    lines = (run / "evaluations" / "dev" / "predictions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Return what a command prints as JSON."""
    assert main(["evaluate", "--from-predictions", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_reproduces_what_the_evaluation_wrote(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every split, every metric and control, to the last digit; no file is touched."""
    before = files(finished)

    found = printed(capsys, str(finished))

    assert [one["split"] for one in found] == ["dev", "other"]
    for one in found:
        stored = scores(finished, one["split"])
        assert {key: one[key] for key in stored} == stored
        assert one["changed"] == []
    assert files(finished) == before


def test_a_changed_rule_is_written(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores under it are renewed, answers and all that the model alone knows stay, and it is said."""
    before = scores(finished)
    with monkeypatch.context() as patch:
        patch.setattr(rules, "normalise_text", lambda text: text.replace("two", "one"))
        assert main(["evaluate", "--from-predictions", str(finished)]) == 0

    said = capsys.readouterr().out
    assert f"{finished}, dev: updated wer, cer, no-audio wer, no-audio cer\n" in said
    after = scores(finished)
    assert after["metrics"]["wer"]["rule"]["sha256"] != before["metrics"]["wer"]["rule"]["sha256"]
    for key in set(before) - {"metrics", "controls"}:
        assert after[key] == before[key]
    sums = [sum(counts) for counts in zip(*(row["edits"]["wer"] for row in answers(finished)), strict=True)]
    assert sums == list(after["metrics"]["wer"]["edits"].values())

    assert main(["evaluate", "--from-predictions", str(finished)]) == 0
    assert scores(finished) == before


def test_files_of_an_older_version_are_renewed(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They knew no rules, no edits and no pathologies; afterwards they are as if written now."""
    place = finished / "evaluations" / "dev"
    now = {path.name: path.read_text() for path in place.iterdir()}
    old = scores(finished)
    del old["pathologies"], old["length_ratio"]
    for metric in (*old["metrics"].values(), *old["controls"]["no-audio"].values()):
        del metric["rule"]
    (place / "scores.json").write_text(json.dumps(old))
    for file in place.glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            del row["edits"], row["heard"]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    (one,) = printed(capsys, str(finished), "--split", "dev")

    assert {"wer", "no-audio cer", "pathologies", "length_ratio"} <= set(one["changed"])
    assert scores(finished) == json.loads(now["scores.json"])
    assert (place / "predictions.jsonl").read_text() == now["predictions.jsonl"]


def test_other_rules_are_shown_and_not_written(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each metric that has a rule, once under each of them, with its controls."""
    before = files(finished)

    (one,) = printed(capsys, str(finished), "--split", "dev", "--rule", "raw", "--rule", "open-asr")

    assert list(one["metrics"]) == ["wer-raw", "cer-raw", "wer-open-asr", "cer-open-asr"]
    assert one["metrics"].keys() == one["controls"]["no-audio"].keys()
    assert one["metrics"]["wer-open-asr"]["rule"]["name"] == "open-asr"
    assert files(finished) == before


def test_the_own_rule_by_name_is_the_stored_score(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--rule basic` asks for what is there."""
    (one,) = printed(capsys, str(finished), "--split", "dev", "--rule", "basic")

    assert one["metrics"] == scores(finished)["metrics"]


def test_the_table(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row a metric with its counts; what was found beside the scores; where answers can be seen."""
    monkeypatch.setenv("COLUMNS", "120")

    assert main(["evaluate", "--from-predictions", str(finished), "--split", "dev"]) == 0

    said = capsys.readouterr().out
    above, head, wer = (said.splitlines()[number].split() for number in (1, 2, 4))
    assert [*head[:-1], above[0] + head[-1]] == [
        "experiment", "split", "metric", "score", "wrong", "missing", "more", "units", "no-audio",
    ]  # fmt: skip
    counts = [str(count) for count in scores(finished)["metrics"]["wer"]["edits"].values()]
    assert (wer[:3], wer[4:8]) == (["tiny", "dev", "wer"], counts)
    assert f"{finished}, dev: unchanged\n" in said
    assert (
        "4 too-long among 4 answers (`steermoe evaluate RUN --from-predictions --pathologies` shows them)\n"
        in said
    )


def test_the_table_fits_into_80_columns(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No figure is cut; the experiment's name is on a line or two."""
    monkeypatch.setenv("COLUMNS", "80")

    assert main(["evaluate", "--from-predictions", str(finished), "--split", "dev"]) == 0

    table = capsys.readouterr().out.partition("dev: unchanged")[0]
    counts = scores(finished)["metrics"]["wer"]["edits"].values()
    assert all(str(count) in table.split() for count in counts)
    assert "…" not in table.splitlines()[2]
    assert table.splitlines()[4].split()[0] == "tiny"


def test_pathologies_are_shown(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reference beside hypothesis, and what was written down when there was nothing to hear."""
    assert main(["evaluate", "--from-predictions", str(finished), "--split", "dev", "--pathologies"]) == 0

    said = capsys.readouterr().out
    rows = answers(finished)
    assert "too-long 4 (100.0 %)\n" in said
    assert f"    reference   {rows[0]['reference']}\n    hypothesis  {rows[0]['hypothesis']}\n" in said
    assert "loop 0 (0.0 %)\n" in said
    for probe in scores(finished)["probes"]:
        assert f"{probe['sound']}, {probe['seconds']:g} s: {probe['hypothesis'] or '(nothing)'}\n" in said


def test_nothing_heavy_is_imported(rig: Rig, finished: Path) -> None:
    """Answers are text: neither torch nor transformers is needed to count their errors."""
    file = finished / "experiment.toml"  # its own encoder would bring torch
    known = re.sub(
        r"(?s)\[encoder\].*?\n\n", '[encoder]\nuse = "whisper"\nweights = "any"\n\n', file.read_text()
    )
    file.write_text(known)
    code = (
        "import sys; from steermoe_core.cli.main import main; "
        f"assert main(['evaluate', '--from-predictions', {str(finished)!r}, '--rule', 'open-asr']) == 0; "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )

    done = rig.site.run(code=code, PYTHONPATH=rig.paths)

    assert done.returncode == 0, done.stderr


class TestRefusals:
    """What cannot be scored is told in a sentence, with exit code 2."""

    def test_unknown_split(self, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With those that there are."""
        assert main(["evaluate", "--from-predictions", str(finished), "--split", "test"]) == 2
        assert sentence(capsys) == f"{finished} has no scores of split 'test'; there are dev, other"

    def test_unknown_rule(self, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With the rules that there are."""
        assert main(["evaluate", "--from-predictions", str(finished), "--rule", "none"]) == 2
        assert "invalid choice: 'none'" in sentence(capsys)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--from-predictions", "--again"], "--again needs a model, and --from-predictions loads none"),
            (["--from-predictions", "--batch-size", "2"], "--batch-size needs a model, and --from-predict"),
            (["--rule", "raw"], "--rule only with --from-predictions"),
            (["--pathologies"], "--pathologies only with --from-predictions"),
            (["another-run"], "several runs only with --from-predictions"),
        ],
    )
    def test_contradicting_flags(
        self, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Before the run is looked at."""
        assert main(["evaluate", "a-run", *words]) == 2
        assert sentence(capsys).startswith(message)

    def test_no_run_folder(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """As for every command."""
        assert main(["evaluate", "--from-predictions", str(rig.folder)]) == 2
        assert sentence(capsys) == f"{rig.folder} is not a run folder: it has no experiment.toml"

    def test_run_without_scores(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With the command that finishes it."""
        monkeypatch.setenv("RIG", "interrupt@3")
        run = rig.run(expect=130)

        assert main(["evaluate", "--from-predictions", str(run)]) == 2
        assert sentence(capsys).startswith(f"{run} has no scores yet; finish it with `steermoe run ")

    def test_no_metric_has_a_rule(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """Tokens are compared as they are."""
        run = rig.run('metrics=[{use="token-accuracy"}]')
        capsys.readouterr()

        assert main(["evaluate", "--from-predictions", str(run), "--rule", "zh"]) == 2
        assert (
            sentence(capsys) == f"no metric of {run} compares texts by a rule (its metrics: token-accuracy)"
        )

    def test_damaged_scores(self, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The file is named, with the command that writes it anew."""
        (finished / "evaluations" / "dev" / "scores.json").write_text("{")

        assert main(["evaluate", "--from-predictions", str(finished)]) == 2
        said = sentence(capsys)
        assert "dev/scores.json is damaged" in said
        assert said.endswith("score the run again with `steermoe evaluate --again`")

    def test_lost_answers(self, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The file is named."""
        (finished / "evaluations" / "dev" / "predictions.jsonl").unlink()

        assert main(["evaluate", "--from-predictions", str(finished)]) == 2
        assert "predictions.jsonl cannot be read" in sentence(capsys)

    def test_a_missing_package(
        self, finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Exit code 4 and the command that installs it."""
        monkeypatch.setitem(sys.modules, "whisper_normalizer.english", None)

        assert main(["evaluate", "--from-predictions", str(finished), "--rule", "whisper-en"]) == 4
        assert "pip install whisper-normalizer" in sentence(capsys)
