"""Every full-size experiment runs as it is, from check to report, on small stand-ins of what it names."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from steermoe_core.config.resolve import resolve
from steermoe_core.plugins import load_registry
from tests.docs.pages import ROOT, blocks, commands
from tests.forked import Terminal, terminal
from tests.full_size import LIBRISPEECH, WHISPER, snapshot, write_aishell, write_clotho, write_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = sorted((ROOT / "experiments" / "paper").glob("*.toml"))
#: Ends of the names of files that differ in a size alone from one that is run. The smallest language model is
#: run: its embeddings are tied, as those of 3b.
SIZES = ("_3b", "_16e")
RUN = [path for path in FILES if not path.stem.endswith(SIZES)]
PAGE = ROOT / "docs" / "how-to" / "full-size.md"
#: All that a short run on a machine without a GPU changes.
CHANGED = ("train.steps=4", "train.warmup=0", "train.log_every=2", "evaluate.max_new_tokens=4")
SHORT = [word for setting in CHANGED for word in ("--set", setting)]
#: Clips of each split that is scored: those with a score, and those that are longer than the encoder takes.
SCORED = {
    "librispeech": {"test-clean": (2, 1), "test-other": (2, 0)},
    "aishell2": {"test": (3, 0)},
    "clothoaqa": {"test": (6, 0)},
}
TRAINED = {"librispeech": 10, "aishell2": 5, "clothoaqa": 18}


@attrs.frozen
class Lab:
    """A folder with the experiments and their data, and a terminal in it.

    :param home: the cache of the hub's client.
    """

    folder: Path
    home: Path
    steermoe: Terminal


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return what an experiment finds on a machine that has fetched everything, and has no network now."""
    folder, home = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    write_hub(home)
    write_clotho(folder / "data" / "clotho-aqa")
    write_aishell(folder / "data" / "aishell-2")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (script,) = (block for block in blocks(PAGE) if block.language == "python")
        exec(compile(script.text, script.place, "exec"), {})  # noqa: S102 - as the page says, to make manifests
    settings = {
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "DS_ACCELERATOR": "cpu",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    with terminal(folder, settings) as steermoe:
        yield Lab(folder, home, steermoe)


def data_of(name: str) -> str:
    """Return the last word of the part of a file's name that says what it is trained on."""
    return next(data for data in SCORED if data in name)


def strange(err: str) -> list[str]:
    """Return what is said that is not the engine's; that this machine has few cores is left out."""
    words = ("warning:", "Warning", "[RANK", "Traceback")
    lines = (line for line in err.splitlines() if "DataLoader will create" not in line)
    return [line for line in lines if any(word in line for word in words)]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def settings_of(path: Path) -> list[str]:
    """Return the flags of a short run of a file."""
    watched = resolve(path, [], load_registry()).experiment.callbacks
    return [*SHORT, *(["--set", "callbacks.0.every=2"] if watched else [])]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_full_size_experiment_is_planned_as_it_is(lab: Lab, path: Path) -> None:
    """What it names is found and read, and its shapes and data are known."""
    file, data = f"experiments/paper/{path.name}", data_of(path.stem)
    settings = settings_of(path)

    checked = lab.steermoe("check", file, *settings, "--json")
    assert checked.code == 0, checked.err
    planned = lab.steermoe("plan", file, *settings, "--seconds", 30, "--json")
    assert planned.code == 0, planned.err
    plan = planned.json()
    assert (lab.folder / plan["run_folder"]).name == checked.json()["folder"]
    assert plan["shapes"]["audio_tokens"] == [375, 32]
    assert all(part["here"] for part in plan["parts"] if part["weights"])
    clips = {row["split"]: row["clips"] for row in plan["data"]}
    assert clips.pop("train") == TRAINED[data]
    assert clips.pop("validate") > 0
    assert clips == {split: sum(counts) for split, counts in SCORED[data].items()}


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.stem)
def test_a_full_size_experiment_runs_as_it_is(lab: Lab, path: Path) -> None:
    """It is trained and scored; what shows that its numbers hold is green."""
    settings = settings_of(path)

    ran = lab.steermoe("run", f"experiments/paper/{path.name}", *settings)

    assert ran.code == 0, ran.err
    assert not strange(ran.err)
    run = lab.folder / re.findall(r"^run folder: (.+)$", ran.out, re.MULTILINE)[0]
    assert read(run / "status.json")["state"] == "finished"
    lines = list(map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()))
    assert [line["step"] for line in lines if "loss" in line] == [2, 4]
    watched = [2, 4] if "callbacks.0.every=2" in settings else []
    assert [line["step"] for line in lines if {"steering", "lora"} & line.keys()] == watched
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    for split, (scored, too_long) in SCORED[data_of(path.stem)].items():
        assert split in page
        scores = read(run / "evaluations" / split / "scores.json")
        assert scores["examples"] == scored
        assert sum(map(len, scores["left_out"].values())) == too_long
        assert all(metric["value"] is not None for metric in scores["metrics"].values())
    certificates = read(run / "certificates.json")["certificates"]
    assert not [one for one in certificates if one["passed"] is False]


def test_several_files_in_one_command(lab: Lab) -> None:
    """Each with a process group of its own, one after the other."""
    files = [f"experiments/paper/{encoder}_linear_librispeech.toml" for encoder in ("whisper", "conformer")]

    ran = lab.steermoe("run", *files, *SHORT, "--set", "train.deepspeed.stage=2", "--json")

    assert ran.code == 0, ran.err
    assert {row["experiment"] for row in ran.json()} == {
        f"paper-{encoder}-linear-librispeech-7b" for encoder in ("whisper", "conformer")
    }


def test_a_file_that_names_copies(lab: Lab) -> None:
    """The page's own file, on folders that are laid out like the hub's."""
    (block,) = (block for block in blocks(PAGE) if block.path == "ours.toml")
    text = block.text
    for named, kind, name in (
        ("/models/whisper-large-v3", "models", WHISPER),
        ("/models/Qwen2.5-7B-Instruct", "models", "Qwen/Qwen2.5-7B-Instruct"),
        ("/data/librispeech_asr", "datasets", LIBRISPEECH),
    ):
        assert f'"{named}"' in text
        text = text.replace(f'"{named}"', f'"{lab.folder}/copies{named}"')
        shutil.copytree(snapshot(lab.home, kind, name), f"{lab.folder}/copies{named}", dirs_exist_ok=True)
    shutil.rmtree(lab.folder / "copies" / "data" / "librispeech_asr" / "other" / "train.500")
    (lab.folder / "ours.toml").write_text(text, encoding="utf-8")

    ran = lab.steermoe("run", "ours.toml", *SHORT, "--json")

    assert ran.code == 0, ran.err
    assert set(ran.json()[0]["splits"]) == set(SCORED["librispeech"])


def test_stage_three(lab: Lab) -> None:
    """With the settings that the page checks: frozen weights are split, nothing is validated."""
    (words,) = (
        command.words
        for block in blocks(PAGE)
        for command in commands(block)
        if "deepspeed.stage=3" in command.words
    )

    ran = lab.steermoe("run", *shlex.split(words)[2:], *SHORT)

    assert ran.code == 0, ran.err
    assert "validation at step" not in ran.err


def test_little_memory(lab: Lab) -> None:
    """Recomputed activations, and a batch in several passes."""
    settings = ('train.recompute=["encoder", "decoder"]', "train.batch_seconds=15", "train.accumulation=3")
    flags = [word for setting in settings for word in ("--set", setting)]

    ran = lab.steermoe("run", "experiments/paper/conformer_layer_wise_librispeech.toml", *flags, *SHORT)

    assert ran.code == 0, ran.err
    assert not strange(ran.err)
