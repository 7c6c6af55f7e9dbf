"""`steermoe leaderboard`: from sets to files, again, and what is wrong with sets and folders."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kaldialign import batch_error_rate

import steermoe_core
from steermoe_core.cli.main import main
from steermoe_core.evaluate.open_asr import OpenAsrEnglish
from steermoe_leaderboard.sets import MAIN, SETS

from .conftest import EARNINGS, flac, session, write_set

if TYPE_CHECKING:
    from pathlib import Path

AMI_FILE = "MODEL_me-tiny_DATASET_hf-audio-open-asr-leaderboard_ami_cleaned_test.jsonl"
EARNINGS_FILE = "MODEL_me-tiny_DATASET_ArtificialAnalysis-Earnings22-Cleaned-AA-chunked__test.jsonl"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(one) for one in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def words(finished: Path, data: Path, tmp_path: Path) -> list[str]:
    """Return the command line that scores the two small sets."""
    return [
        "leaderboard", str(finished), "--data", str(data), "--out", str(tmp_path / "out"),
        "--name", "me/tiny", "--device", "cpu", "--batch-size", "2", "--warm-up", "1",
        "--only", "ami_cleaned", "--only", EARNINGS,
    ]  # fmt: skip


def error(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(words)
    return code, capsys.readouterr().err.strip().splitlines()[-1].removeprefix("steermoe: ")


def test_scores_equal_independent_ones(
    words: list[str], finished: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each clip transcribed alone, normalised and counted here, gives the figures in all files."""
    assert main([*words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    out = tmp_path / "out"
    ami, earnings = rows(out / AMI_FILE), rows(out / EARNINGS_FILE)

    model = steermoe_core.load(finished, "cpu")
    texts = {"0.wav": "Three, four!", "2.wav": "one two", "4.wav": "Alan said OK"}
    assert {one["audio_filepath"]: one["text"] for one in ami} == texts
    alone = {one["audio_filepath"]: model.transcribe(_wave(data, one["audio_filepath"])) for one in ami}
    assert {one["audio_filepath"]: one["pred_text"] for one in ami} == alone
    chunks = {(one["parent_id"], one["chunk_index"]): one["pred_text"] for one in earnings}
    assert sorted(chunks) == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]

    ami_wer = _wer([(texts[name], output) for name, output in alone.items()])
    whole = {
        p: " ".join(filter(None, (chunks[key].strip() for key in sorted(chunks) if key[0] == p)))
        for p in "ab"
    }
    earnings_wer = _wer([("four five", whole["a"]), ("seven eight nine", whole["b"])])
    found = {one["set"]: one for one in facts["sets"]}
    assert {name: one["wer"] for name, one in found.items()} == {
        "ami_cleaned": ami_wer,
        EARNINGS: earnings_wer,
    }
    assert [(found[name]["clips"], found[name]["left_out"]) for name in ("ami_cleaned", EARNINGS)] == [
        (3, 2),
        (5, 0),
    ]
    assert facts["parameters"] == sum(one.numel() for one in model.model.parameters())
    assert len(facts["missing"]) == 6

    (summary,) = csv.DictReader((out / "summary.csv").read_text(encoding="utf-8").splitlines())
    assert summary["model"] == "me/tiny"
    assert float(summary["avg"]) == (ami_wer + earnings_wer) / 2
    assert float(summary["AMI-Cleaned WER"]) == ami_wer
    assert float(summary["AMI-Cleaned RTFx"]) == found["ami_cleaned"]["rtfx"]
    assert summary["LS Clean WER"] == summary["License"] == ""
    seconds = sum(one["duration"] for one in [*ami, *earnings]) / sum(
        one["time"] for one in [*ami, *earnings]
    )
    assert float(summary["RTFx"]) == pytest.approx(seconds, abs=0.006)

    entries = yaml.safe_load((out / "open_asr_leaderboard.yaml").read_text(encoding="utf-8"))
    assert [(one["dataset"], one["value"]) for one in entries] == [
        ({"id": MAIN, "task_id": "ami_wer"}, ami_wer),
        ({"id": MAIN, "task_id": "earnings22_wer"}, earnings_wer),
    ]
    assert entries[0]["notes"].endswith(" parameters, rule open-asr 2, CPU, batches of 2")


def _wave(data: Path, name: str) -> bytes:
    number = int(name.partition(".")[0])
    return flac(0.3 + 0.1 * number, 200.0 + 50.0 * number)


def _wer(pairs: list[tuple[str, str]]) -> float:
    normalise = OpenAsrEnglish()
    sides = ([tuple(normalise(pair[side]).split()) for pair in pairs] for side in (0, 1))
    return round(100 * batch_error_rate(*sides, merge_compounds=True)["err_rate"], 2)


def test_complete_sets_are_kept(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A further call scores what is missing; `--again` scores a set again; other weights are refused."""
    first = words[: words.index(EARNINGS) - 1]
    assert main(first) == 0
    before = (tmp_path / "out" / AMI_FILE).stat().st_mtime_ns
    assert main(words) == 0
    assert (tmp_path / "out" / AMI_FILE).stat().st_mtime_ns == before
    table = capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr("steermoe_core.Transcriber", None)  # no model is needed any more
        assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-8:] == table.splitlines()[-8:]
    assert main([*first, "--again"]) == 0
    assert (tmp_path / "out" / AMI_FILE).stat().st_mtime_ns > before

    record = tmp_path / "out" / "leaderboard.json"
    record.write_text(record.read_text().replace('"sha256": "', '"sha256": "0'))
    code, sentence = error([*first, "--again"], capsys)
    assert code == 2
    assert (
        f"has outputs of me/tiny with other weights, such as for {EARNINGS}; choose another --out" in sentence
    )
    assert main([*words, "--again"]) == 0


def test_table(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A row a set, the mean, what was left out and what is missing."""
    assert main(words) == 0
    printed = capsys.readouterr().out

    assert "ami_cleaned " in printed
    assert "me/tiny: mean WER " in printed
    assert "clips without a reference, left out as the leaderboard does: 2" in printed
    assert "not scored: gigaspeech_cleaned, " in printed


def test_all_sets_have_a_mean(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The results file has an entry for the mean when all sets are there, and for each with a task."""
    for one in SETS:
        rows = session("a", "one two", (0,)) if one.sessions else [{"id": "0", "text": "one two"}]
        write_set(tmp_path / "data" / one.name, rows)
    out = tmp_path / "out"
    flags = [
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(out),
        "--warm-up",
        "0",
        "--device",
        "cpu",
        "--json",
    ]

    assert main(["leaderboard", str(finished), *flags]) == 0

    facts = json.loads(capsys.readouterr().out)
    entries = yaml.safe_load((out / "open_asr_leaderboard.yaml").read_text(encoding="utf-8"))
    assert facts["missing"] == []
    assert facts["model"] == finished.name
    assert [one["dataset"]["task_id"] for one in entries] == [
        "mean_wer", "ami_wer", "earnings22_wer", "gigaspeech_wer", "librispeech_clean_wer",
        "librispeech_other_wer", "spgispeech_wer", "voxpopuli_wer",
    ]  # fmt: skip
    assert entries[0]["value"] == round(sum(one["wer"] for one in facts["sets"]) / 8, 2)
    assert (out / "summary.csv").read_text(encoding="utf-8").splitlines()[0] == (
        "model,avg,RTFx,License,Size (B),# Languages,Encoder,Decoder,Training data disclosure,"
        "AMI-Cleaned WER,Earnings22-Cleaned-AA-chunked WER,Gigaspeech-Cleaned WER,LS Clean WER,LS Other WER,"
        "SPGISpeech WER,Voice Arena Monsoon WER,Voxpopuli-AA-Cleaned WER,AMI-Cleaned RTFx,"
        "Earnings22-Cleaned-AA-chunked RTFx,Gigaspeech-Cleaned RTFx,LS Clean RTFx,LS Other RTFx,"
        "SPGISpeech RTFx,Voice Arena Monsoon RTFx,Voxpopuli-AA-Cleaned RTFx"
    )


def test_missing_set(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is reported before a model is loaded."""
    code, sentence = error([*words, "--only", "spgispeech"], capsys)

    assert code == 1
    assert "spgispeech: there is no such folder; put the parquet files of spgispeech there" in sentence


@pytest.mark.parametrize(
    ("name", "row", "sentence"),
    [
        (
            "spgispeech",
            {"id": "0", "words": "one"},
            "there is no column 'text'; its columns are id, words, audio",
        ),
        ("spgispeech", {"text": "one"}, "there is no column 'id'; its columns are text, audio"),
        (
            EARNINGS,
            {"file_name": "a.flac", "text": "one", "chunk_index": 0},
            "there is no column 'parent_id'; its columns are file_name, text, chunk_index, audio",
        ),
        (
            EARNINGS,
            {"file_name": "a.flac", "text": "one", "parent_id": "p", "chunk_index": "first"},
            "chunk_index must be the number of the chunk in its session, is 'first'",
        ),
        (
            EARNINGS,
            session("p", "one", (1,))[0],
            "session 'p' has chunks 1, some are missing; fetch the set again",
        ),
    ],
)
def test_bad_set(
    name: str, row: dict[str, Any], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence names the file and the column, before a model is loaded."""
    write_set(tmp_path / "data" / name, [row])
    flags = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--only", name]

    code, found = error(["leaderboard", "runs/none", *flags], capsys)

    assert code == 1
    assert sentence in found


def test_nothing_to_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set of which the leaderboard scores no clip is an error."""
    write_set(tmp_path / "data" / "ami_cleaned", [{"id": "0", "text": "uh"}])
    flags = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--only", "ami_cleaned"]

    code, found = error(["leaderboard", "runs/none", *flags], capsys)

    assert (code, found) == (1, "ami_cleaned: no reference has a word, so there is nothing to score")


def test_unreadable_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set is scored whole or not at all."""
    write_set(tmp_path / "data" / "ami_cleaned", [{"id": "0", "text": "one"}], audio=b"noise")
    flags = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--only", "ami_cleaned"]

    code, found = error(["leaderboard", "runs/none", *flags], capsys)

    assert code == 1
    assert "1 of 1 clips of ami_cleaned cannot be read, such as " in found


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--batch-size", "0"], "--batch-size must be at least 1, is 0"),
        (["--warm-up", "-1"], "--warm-up must be at least 0, is -1"),
    ],
)
def test_bad_flags(
    flags: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are reported first."""
    assert error(["leaderboard", "runs/none", "--out", str(tmp_path), *flags], capsys) == (2, sentence)


def test_folder_of_another_model(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder has one model; a damaged record is reported."""
    assert main(words) == 0
    capsys.readouterr()
    code, sentence = error([*words, "--name", "me/other"], capsys)
    assert code == 2
    assert sentence.endswith("has the results of me/tiny, not me/other; choose another --out")
    (tmp_path / "out" / "leaderboard.json").write_text("{}")
    assert error(words, capsys)[1].endswith("leaderboard.json is damaged; choose another --out")
    (tmp_path / "out" / "leaderboard.json").unlink()
    (tmp_path / "file").write_text("")
    assert "cannot be created" in error([*words, "--out", str(tmp_path / "file" / "out")], capsys)[1]
