"""A run's adapter goes to the hub and comes back: to transcribe, and as the start of an experiment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
import yaml
from huggingface_hub import constants

import steermoe_core
from steermoe_core.cli.main import main
from steermoe_core.plugins import load_registry
from steermoe_core.use import card
from tests.hub import TOKEN, Hub, logged_in
from tests.rig import sentence, status, texts, trained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rig import Rig

REPO = "ada/tiny-ears"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Serve a hub that "ada" is logged in to."""
    with logged_in(monkeypatch, tmp_path / "hub-cache") as served:
        yield served


@pytest.fixture
def pushed(hub: Hub, finished: Path, capsys: pytest.CaptureFixture[str]) -> Hub:
    """Return a hub with the adapter of a finished run."""
    assert main(["push", str(finished), REPO]) == 0
    capsys.readouterr()
    return hub


def test_push_then_transcribe(
    rig: Rig, pushed: Hub, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes back says what the run folder says."""
    sound = str(rig.folder / "dev" / "000.wav")
    assert main(["transcribe", str(finished), sound]) == 0
    expected = capsys.readouterr().out

    assert main(["transcribe", f"hub:{REPO}", sound]) == 0

    assert capsys.readouterr().out == expected
    assert pushed.private == {REPO}


def test_the_repository_is_the_adapter_and_a_page(pushed: Hub, finished: Path) -> None:
    """No checkpoint, no frozen weight, no path of data; the page tells scores and what is needed."""
    files = pushed.files(REPO)
    page = files["README.md"].decode()
    front = yaml.safe_load(page.split("---\n")[1])
    scores = json.loads((finished / "evaluations" / "dev" / "scores.json").read_text())["metrics"]["wer"]
    card = json.loads(files["adapter.json"])

    adapter = {"adapter.json", "adapter.safetensors", "experiment.toml"}
    assert set(files) == {"README.md", *adapter, "config.json", "modeling_steermoe.py"}
    assert files["adapter.safetensors"] == trained(finished)
    (result,) = (one for one in front.pop("model-index")[0]["results"] if one["dataset"]["name"] == "dev")
    assert result["metrics"][0]["value"] == pytest.approx(100 * scores["value"], abs=1e-4)
    tags = {"library_name": "steermoe", "tags": ["steermoe", "audio"]}
    assert front == {**tags, "pipeline_tag": "automatic-speech-recognition"}
    interval = "{low:.3f}–{high:.3f}".format(**scores["interval"])
    assert f"| dev | wer | {scores['value']:.3f} | {interval} | no-audio " in page
    assert all(facts["sha256"] in page for facts in card["frozen"].values())
    sizes = ", ".join(f"{name} {size}" for name, size in card["groups"].items())
    assert f"{card['trainable_parameters']:,} trained numbers ({sizes}), 6 steps" in page.replace("\n", " ")
    assert f"steermoe transcribe hub:{REPO} speech.wav" in page
    assert "steermoe-rig 1.0" in page
    assert b"[data" not in files["experiment.toml"]
    assert files["experiment.toml"].decode() in page


@pytest.mark.usefixtures("pushed")
def test_what_has_to_be_installed_for_it(finished: Path) -> None:
    """The distributions are those that the page names, from the hub as from a folder."""
    registry = load_registry()

    assert steermoe_core.distributions(f"hub:{REPO}", registry) == ["steermoe", "steermoe-rig"]
    assert steermoe_core.distributions(str(finished), registry) == ["steermoe", "steermoe-rig"]


def test_transformers_loads_the_repository(pushed: Hub, rig: Rig, finished: Path) -> None:
    """`AutoModel` and `pipeline` say what `steermoe transcribe` says, from a folder and from the hub."""
    place, sound = rig.folder / "copy", str(rig.folder / "dev" / "000.wav")
    place.mkdir()
    for name, content in pushed.files(REPO).items():
        (place / name).write_bytes(content)
    script = dedent("""
        import sys, warnings
        import numpy as np, soundfile
        from transformers import AutoModel, pipeline

        place, repo, sound = sys.argv[1:]
        values, rate = soundfile.read(sound)
        for source in (place, repo):
            model = AutoModel.from_pretrained(source, trust_remote_code=True)
            print(model.transcribe(sound))
            recogniser = pipeline("automatic-speech-recognition", model=source, trust_remote_code=True)
            print(recogniser(sound)["text"])
            print(recogniser([{"raw": values, "sampling_rate": rate}])[0]["text"])
            (chunk,) = recogniser(sound, return_timestamps=True)["chunks"]
            assert chunk["timestamp"] == (0.0, round(len(values) / rate, 3))
            print(chunk["text"])
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(place), REPO, sound],
        env={
            **os.environ, "PYTHONPATH": rig.paths, "HF_HOME": str(rig.folder / "hf-home"),
            "HF_ENDPOINT": pushed.address, "HF_TOKEN": TOKEN,
        },
        cwd=rig.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [steermoe_core.load(finished).transcribe(sound)] * 8


def test_a_public_repository_and_a_second_push(hub: Hub, rig: Rig, finished: Path) -> None:
    """Public only where one says so; pushing again adds a commit, and each commit can be named."""
    assert main(["push", str(finished), REPO, "--public"]) == 0
    other = rig.run("experiment.seed=3")
    assert main(["push", str(other), REPO]) == 0
    (first, _), (_, newest) = hub.repos[REPO]

    assert hub.private == set()
    assert newest["adapter.safetensors"] == trained(other)
    for name, run in ((f"hub:{REPO}@{first}", finished), (f"hub:{REPO}", other)):
        again = rig.run(f'adapter="{name}"', "train.steps=0", "train.warmup=0")
        assert trained(again) == trained(run)


def test_a_dry_run_shows_and_keeps_still(
    hub: Hub, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files, sizes and the page; nothing is asked of the hub."""
    assert main(["push", str(finished), REPO, "--dry-run"]) == 0

    shown = capsys.readouterr().out
    size = (finished / "adapter" / "adapter.safetensors").stat().st_size
    assert f"{size:,} bytes  adapter.safetensors" in shown
    assert "# tiny" in shown
    assert hub.repos == {}


def test_an_experiment_starts_from_a_pushed_adapter(rig: Rig, pushed: Hub, finished: Path) -> None:
    """Its tables and tensors are where the run begins; what it leaves needs the hub no more."""
    start = f'adapter="hub:{REPO}"'
    whole = rig.file.read_text()
    rig.file.write_text(whole.replace('[projector]\nuse = "linear"\npool = { kernel = 2 }\n', ""))
    assert rig.file.read_text() != whole

    same = rig.run(start, "train.steps=0")
    further = rig.run(start, "train.steps=2")
    pushed.repos.clear()

    assert trained(same) == trained(finished)
    assert texts(same) == texts(finished)
    assert trained(further) not in (trained(finished), trained(rig.run("train.steps=2", expect=0)))
    assert status(further)["state"] == "finished"
    table = (further / "adapter" / "experiment.toml").read_text()
    assert "hub:" not in table
    assert "experts = 3" in table
    assert main(["evaluate", str(further), "--again"]) == 0


def test_an_experiment_starts_from_a_run_folder(rig: Rig, finished: Path) -> None:
    """A path is as good as the hub; a projector of the same kind may have settings of its own."""
    same = rig.run(f'adapter="{finished}"', "train.steps=0")

    assert trained(same) == trained(finished)


def test_another_projector(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names both."""
    rig.run(f'adapter="{finished}"', "projector.use=mlp", expect=2)

    said = sentence(capsys)
    assert said.startswith(f"{finished} was trained with projector linear, and the experiment has mlp; ")


def test_an_adapter_that_another_part_cannot_use(
    rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the experiment file could not tell is told when the adapter is there, before anything is built."""
    pytest.importorskip("steermoe_lora")
    rig.run(f'adapter="{finished}"', 'callbacks=[{use="lora-analysis"}]', expect=2)
    said = sentence(capsys)
    assert said.startswith(
        f'{finished}: callback "lora-analysis" needs an adapter with lora, which adapter "steering"'
    )
    assert said.endswith("adapters with lora: lora; or leave the callback out")


def test_a_run_goes_on_from_what_it_began_with(
    rig: Rig, pushed: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interrupted run resumes, and refuses where the repository has changed since."""
    sets = (f'adapter="hub:{REPO}"', "train.steps=4")
    monkeypatch.setenv("RIG", "interrupt@3")
    rig.run(*sets, expect=130)
    monkeypatch.delenv("RIG")
    pushed.put(REPO, {"adapter.safetensors": trained(rig.run("experiment.seed=5"))})
    rig.run(*sets, expect=1)
    assert "its starting adapter changed since it began" in sentence(capsys)

    pushed.repos[REPO].pop()
    rig.run(*sets)


def test_other_frozen_parts_are_refused(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An adapter that starts an experiment belongs to its encoder as much as any other."""
    rig.run(f'adapter="{finished}"', "decoder.dtype=bfloat16", expect=1)

    assert "was trained on decoder" in sentence(capsys)


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (
            ["transcribe", "hub:ada/nothing"],
            4,
            "hub:ada/nothing is not on the hub, or this user may not",
        ),
        (["transcribe", f"hub:{REPO}@v9"], 4, f"hub:{REPO}@v9 has no such revision"),
        (["transcribe", "hub:ada"], 2, "hub:ada does not say where on the hub"),
        (["transcribe", "hub:ada/dataset"], 2, "hub:ada/dataset holds no trained adapter: it has no adapter"),
        (["push", "hub:ada"], 2, "'hub:ada' does not name a repository: write OWNER/NAME"),
        (["push", "bob/ears"], 4, "the hub does not let this user do that with hub:bob/ears (403)"),
        (
            ["push", "ada/dataset"],
            1,
            "hub:ada/dataset holds something else than an adapter: data.csv",
        ),
    ],
)
def test_what_the_hub_refuses(
    rig: Rig,
    pushed: Hub,
    finished: Path,
    words: list[str],
    code: int,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence, and the exit code says whose fault it is."""
    pushed.put("ada/dataset", {"data.csv": b"1"})
    sound = str(rig.folder / "dev" / "000.wav")
    command = [*words, sound] if words[0] == "transcribe" else ["push", str(finished), words[1]]

    assert main(command) == code
    assert sentence(capsys).startswith(reason)


def test_without_a_token(
    hub: Hub, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence says how to log in."""
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "nowhere")
    assert main(["push", str(finished), REPO]) == 4
    assert "log in with `hf auth login` or set HF_TOKEN" in sentence(capsys)


def test_without_a_network(
    hub: Hub, rig: Rig, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is there: one sentence, both ways."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}"
    )
    for words in (
        ["push", str(finished), REPO],
        ["transcribe", f"hub:{REPO}", str(rig.folder / "dev" / "000.wav")],
    ):
        assert main(words) == 4
        assert f"hub:{REPO}: the hub could not be reached (" in sentence(capsys)


def test_a_run_that_is_not_finished(
    rig: Rig, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to push yet."""
    assert main(["push", str(tmp_path), REPO]) == 2
    assert "is not a run folder" in sentence(capsys)
    (tmp_path / "experiment.toml").write_text("")
    assert main(["push", str(tmp_path), REPO]) == 2
    assert "has no trained adapter yet" in sentence(capsys)


def test_the_page_says_where_it_comes_from(hub: Hub, finished: Path) -> None:
    """Sources with their settings and amounts, and the licence that was chosen; no path of this machine."""
    assert main(["push", str(finished), REPO, "--licence", "mit", "--language", "en"]) == 0

    page = hub.files(REPO)["README.md"].decode()
    front = yaml.safe_load(page.split("---\n")[1])
    assert (front["license"], front["language"]) == ("mit", ["en"])
    data = page.partition("## Data\n")[2].partition("## Scores")[0]
    assert data.strip().splitlines() == [
        "* training, 10 clips, 0.00 hours: `folder`",
        "* score `dev`, 4 clips, 0.00 hours: `folder`",
        "* score `other`, 3 clips, 0.00 hours: `folder`",
    ]
    assert str(finished.parents[1]) not in page


def test_the_page_has_scores_by_duration(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each split that has enough clips for it."""
    monkeypatch.setattr(card, "_SPLIT", 4)

    page = card.shared_files(finished, REPO, load_registry())["README.md"].decode()

    head, *rows = page.partition("by duration of the clip:\n\n")[2].partition("\n\n")[0].splitlines()
    assert head == "| seconds | clips | value | 95 % interval |"
    assert sum(int(row.split("|")[2]) for row in rows[1:]) == 4
    assert page.count("by duration of the clip") == 1
