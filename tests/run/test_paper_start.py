"""The full-size experiments start on folders laid out like the real ones; here these hold tiny stand-ins."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from steermoe_core.cli.main import main
from steermoe_core.config.toml import dumps
from tests.conformers import save_public
from tests.parts import save_decoder, save_whisper
from tests.tiny import DIGITS, RATE, sine, write_wav

PAPER = Path(__file__).parents[2] / "experiments" / "paper"
#: DeepSpeed has tests of its own; a process of pytest is no place for its process group.
DEEPSPEED = "[train.deepspeed]\nstage = 2\n"
PARTS = {"encoder": "whisper", "decoder": "decoder"}
SMALL = {
    "train": {
        "steps": 2, "warmup": 0, "batch_size": 2, "workers": 0, "threads": 1, "device": "cpu", "log_every": 1,
        "validate": {"every": 2},
    },
    "evaluate": {"max_new_tokens": 4},
}  # fmt: skip
#: The hub's splits of LibriSpeech, by configuration.
SPLITS = {"clean": ("train.100", "train.360", "validation", "test"), "other": ("test",)}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the experiments, and models of the smallest size beside them."""
    torch.set_num_threads(1)
    shutil.copytree(PAPER, tmp_path / "experiments" / "paper")
    training = tmp_path / "experiments" / "paper" / "base" / "training.toml"
    text = training.read_text(encoding="utf-8")
    assert DEEPSPEED in text
    training.write_text(text.replace(DEEPSPEED, ""), encoding="utf-8")
    save_decoder(tmp_path / "models" / "decoder")
    save_whisper(tmp_path / "models" / "whisper")
    save_public(tmp_path / "models" / "conformer")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path


def start(lab: Path, name: str, tables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Run an experiment through a file of one's own, and return scores.json of each split."""
    models = {part: {"weights": f"models/{folder}"} for part, folder in PARTS.items()}
    own = lab / "ours.toml"
    own.write_text(f'extends = "experiments/paper/{name}.toml"\n' + dumps({**models, **SMALL, **tables}))
    assert main(["run", str(own)]) == 0
    found = (lab / "runs").glob("*/evaluations/*/scores.json")
    return {path.parent.name: json.loads(path.read_text()) for path in found}


def write_librispeech(folder: Path) -> None:
    """Write what the hub has: a card that names the files, and parquet files with FLAC inside."""
    card = ["---", "configs:"]
    for name, splits in SPLITS.items():
        card += [f"- config_name: {name}", "  data_files:"]
        for split in splits:
            card += [f"  - split: {split}", f"    path: {name}/{split}/*.parquet"]
            place = folder / name / split
            place.mkdir(parents=True)
            rows = [_utterance(f"{name}-{split}-{number}", number) for number in range(3)]
            pq.write_table(pa.Table.from_pylist(rows), place / "0000.parquet")
    (folder / "README.md").write_text("\n".join([*card, "---\n"]), encoding="utf-8")


def _utterance(name: str, number: int) -> dict[str, Any]:
    sound = io.BytesIO()
    soundfile.write(sound, sine(0.4 + 0.1 * number, hertz=200.0 + 50.0 * number), RATE, format="FLAC")
    return {
        "file": f"{name}.flac",
        "audio": {"bytes": sound.getvalue(), "path": f"{name}.flac"},
        "text": DIGITS[number].upper(),
        "speaker_id": number,
        "chapter_id": 1,
        "id": name,
    }


@pytest.mark.parametrize("name", ["whisper_layer_wise_librispeech", "whisper_lora_librispeech"])
def test_librispeech_as_the_hub_lays_it_out(lab: Path, name: str) -> None:
    """A copy of the hub's folder takes the hub's place; both training splits are read."""
    write_librispeech(lab / "librispeech_asr")
    copy = {"path": str(lab / "librispeech_asr")}
    splits = {"test-clean": copy, "test-other": copy}

    scores = start(lab, name, {"data": {"train": copy, "validate": copy, "eval": splits}})

    assert {split: one["examples"] for split, one in scores.items()} == {"test-clean": 3, "test-other": 3}
    (lock,) = (lab / "runs").glob("*/lock.json")
    assert json.loads(lock.read_text())["data"]["train"]["examples"] == 6


def test_aishell_as_manifests(lab: Path) -> None:
    """Where the experiments look for it: data/aishell-2 beside experiments/."""
    folder = lab / "data" / "aishell-2"
    for part in ("train", "dev", "test"):
        lines = []
        for number in range(3):
            write_wav(folder / "wav" / f"{part}{number}.wav", 0.4 + 0.1 * number)
            line = {"audio": f"wav/{part}{number}.wav", "text": DIGITS[number], "speaker": f"C{number}"}
            lines.append(json.dumps(line) + "\n")
        (folder / f"{part}.jsonl").write_text("".join(lines))

    scores = start(lab, "whisper_layer_wise_aishell2", {})

    assert list(scores["test"]["metrics"]) == ["cer-zh"]
    assert scores["test"]["metrics"]["cer-zh"]["clusters"] == 3


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        ("whisper_prompt_clothoaqa", "whisper"),
        ("conformer_clothoaqa", "conformer"),
        ("conformer_clothoaqa_3b", "conformer"),
    ],
)
def test_clotho_aqa_as_it_is_published(lab: Path, name: str, encoder: str) -> None:
    """Three tables beside a folder of sounds: every annotator's row is trained on, every question scored.

    All splits ask the same two questions of every sound, in bf16; no certificate takes that for a fault.
    """
    folder = lab / "data" / "clotho-aqa"
    for row, part in enumerate(("train", "val", "test")):
        table = "file_name,QuestionText,answer,confidence\n"
        for number in range(2):
            sound = f"{part}{number}.wav"
            write_wav(folder / "audio_files" / sound, 0.6 + 0.3 * number, hertz=200.0 + 100.0 * row)
            for question in ("is it one ?", "what is it ?"):
                table += "".join(f"{sound},{question},{answer},yes\n" for answer in ("yes", "yes", "no"))
        (folder / f"clotho_aqa_{part}.csv").write_text(table)

    scores = start(lab, name, {"encoder": {"weights": f"models/{encoder}"}})

    assert scores["test"]["examples"] == 4
    assert len(scores["test"]["metrics"]) == 3
    (path,) = (lab / "runs").glob("*/certificates.json")
    found = {one["name"]: one for one in json.loads(path.read_text())["certificates"]}
    assert {name: one["why"] for name, one in found.items() if not one["passed"]} == {}
    assert "test: 4 of 4 texts were trained on too" in found["no-train-eval-overlap"]["why"]
    lock = json.loads((path.parent / "lock.json").read_text())
    assert lock["data"]["train"]["examples"] == 12
