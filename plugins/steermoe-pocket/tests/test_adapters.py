"""The adapters that the package carries, and the command that puts one there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomli
import torch
from safetensors.torch import load_file

from steermoe_core import cache_folder
from steermoe_core.config.resolve import resolve_model
from steermoe_core.plugins import load_registry
from steermoe_core.run.folder.hub import adapter_folder
from steermoe_core.run.folder.records import AdapterCard
from steermoe_pocket import adapters, debian
from steermoe_pocket.adapters import __main__ as command

if TYPE_CHECKING:
    from tests.rig import Rig

NAME = "pocket/asr"
USERS = cache_folder()


def test_it_is_small_and_whole() -> None:
    """The adapter's files and its page, no more than 16 MB, what the registry gives under its name."""
    folder = adapter_folder(NAME, load_registry())

    assert folder == adapters.HERE / "asr"
    assert {file.name for file in folder.iterdir()} == {
        "README.md", "adapter.json", "adapter.safetensors", "experiment.toml",
    }  # fmt: skip
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 16 * 2**20
    assert AdapterCard.read(folder / "adapter.json").trainable_parameters > 0


def test_its_experiment_is_the_model_alone() -> None:
    """No data and no path of the machine that trained it; its frozen parts are the pocket lab's."""
    registry = load_registry()
    file = adapter_folder(NAME, registry) / "experiment.toml"
    model = resolve_model(file, registry)

    assert {"data", "train", "metrics", "callbacks"}.isdisjoint(tomli.loads(file.read_text()))
    for part in (model.encoder, model.decoder):
        assert registry.find("weights", part.config.weights)
    assert model.evaluate.segment > 0


def test_its_page_has_the_data_and_scores() -> None:
    """Who, data, licence, scores with their intervals beside Whisper's own, and nothing of the machine."""
    page = (adapters.HERE / "asr" / "README.md").read_text()
    data = page.partition("## Data\n")[2].partition("## Scores\n")[0]
    scores = page.partition("## Scores\n")[2].partition("## What it belongs to\n")[0]

    assert 'license: "mit"' in page
    assert f"steermoe transcribe {NAME} speech.wav" in page
    assert "* training, " in data
    assert "`pocket-speech` (source human, split train" in data
    assert scores.count("| wer |") == data.count("* score ")
    assert "–" in scores
    assert scores.count("the encoder's own decoder 0.") == scores.count("no-audio ") > 0
    assert str(Path.home()) not in page


def test_the_wheel_has_it() -> None:
    """Patterns of package data name the folder."""
    project = tomli.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert "adapters/asr/*" in project["tool"]["setuptools"]["package-data"]["steermoe_pocket"]


def test_a_run_is_put_there(
    rig: Rig,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is written can be taken as any adapter folder can; a run without an adapter is refused."""
    monkeypatch.setattr(command, "HERE", tmp_path / "carried")
    (tmp_path / "carried").mkdir()

    assert command.main([str(finished), "--name", "tiny"]) == 0

    folder = tmp_path / "carried" / "tiny"
    assert adapter_folder(folder, load_registry()) == folder
    written, trained = (load_file(one / "adapter.safetensors") for one in (folder, finished / "adapter"))
    assert written.keys() == trained.keys()
    for name, tensor in trained.items():
        expected = tensor.half() if tensor.is_floating_point() else tensor
        assert torch.equal(written[name], expected)
    assert "steermoe transcribe pocket/tiny speech.wav" in (folder / "README.md").read_text()

    shutil.rmtree(finished / "adapter")
    assert command.main([str(finished)]) == 2
    assert "has no trained adapter yet" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(bool(debian.missing()), reason="the Debian packages are not installed")
def test_it_hears_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after the set-up: on prompts of the test part, at most half of the words are wrong."""
    import jiwer

    import steermoe_core
    from steermoe_pocket.config import SpeechConfig
    from steermoe_pocket.speech import examples

    monkeypatch.setenv("STEERMOE_CACHE", str(USERS))
    chosen = examples(SpeechConfig(source="human", split="test", numbers="spelled"))[:6]

    said = steermoe_core.load(NAME).transcribe([example.audio for example in chosen])

    assert jiwer.wer([example.text for example in chosen], said) <= 0.5
