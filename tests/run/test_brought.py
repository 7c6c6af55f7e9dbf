"""Adapters that a plugin brings: they stand by name wherever a run folder may."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import tomli

import steermoe_core
from steermoe_core.cli.main import main
from tests.rig import sentence, texts, trained

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

NAME = "small/ears"
PLUGIN = """
from pathlib import Path
from steermoe_core import Component, hookimpl

@hookimpl
def steermoe_weights():
    yield Component(
        name="small/ears", api=1, summary="a trained adapter",
        config="fake_rig:Nothing", factory="fake_ears:ears",
    )

def ears(config):
    return Path(__file__).with_name("ears")
"""

#: Weights that are written when they are asked for, as those of a plugin that converts a file.
CONVERTER = """
from pathlib import Path
from steermoe_core import Component, hookimpl

@hookimpl
def steermoe_weights():
    yield Component(
        name="small/words", api=1, summary="a language model",
        config="fake_rig:Nothing", factory="fake_converter:words",
    )

def words(config):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    given, folder = "DECODER", Path(__file__).with_name("words")
    AutoModelForCausalLM.from_pretrained(given).save_pretrained(folder)
    AutoTokenizer.from_pretrained(given).save_pretrained(folder)
    assert torch.ones(3).sum().item() == 3
    return folder
"""


@pytest.fixture
def brought(rig: Rig, finished: Path) -> Path:
    """Return the folder of the adapter that the plugin `ears` brings."""
    rig.site.add("ears", PLUGIN)
    place = rig.site.folder / "ears"
    shutil.copytree(finished / "adapter", place)
    return place


def test_transcribe_and_load(
    rig: Rig, brought: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name is as good as the folder."""
    sound = rig.folder / "dev" / "001.wav"

    assert main(["transcribe", NAME, str(sound)]) == 0
    assert capsys.readouterr().out == texts(finished)["001.wav"] + "\n"
    assert steermoe_core.load(NAME).transcribe([sound]) == [texts(finished)["001.wav"]]


def test_an_experiment_starts_from_it(rig: Rig, brought: Path, finished: Path) -> None:
    """The resolved experiment keeps the name, not the place of this machine."""
    same = rig.run(f'adapter="{NAME}"', "train.steps=0", "train.warmup=0")

    assert trained(same) == trained(finished)
    assert tomli.loads((same / "experiment.toml").read_text())["adapter"] == NAME


def test_a_folder_of_that_name_comes_first(
    rig: Rig, brought: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in the working directory is what a path means."""
    other = rig.run("experiment.seed=3")
    monkeypatch.chdir(rig.folder)
    shutil.copytree(other / "adapter", rig.folder / NAME)

    sound = rig.folder / "dev" / "001.wav"
    with pytest.warns(UserWarning, match="is used, not the adapter that a plugin provides"):
        model = steermoe_core.load(NAME)
    assert model.transcribe([sound]) == [texts(other)["001.wav"]]
    assert trained(rig.run(f'adapter="{NAME}"', "train.steps=0")) == trained(other)


def test_a_misspelt_name(rig: Rig, brought: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence has the right one."""
    assert main(["transcribe", "small/eers", str(rig.folder / "dev" / "001.wav")]) == 2
    assert sentence(capsys).endswith('nor an adapter folder; did you mean "small/ears"?')


def test_weights_that_are_no_adapter(rig: Rig, brought: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plugin's encoder is not a trained run."""
    (brought / "adapter.json").unlink()

    assert main(["transcribe", NAME, str(rig.folder / "dev" / "001.wav")]) == 2
    assert sentence(capsys).startswith("small/ears holds no trained adapter")


def test_a_plan_prepares_weights(rig: Rig, decoder_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It reads no weights, but needs the folder; what a plugin computes for it is computed."""
    rig.site.add("converter", CONVERTER.replace("DECODER", decoder_folder))

    assert main(["plan", str(rig.file), "--set", 'decoder.weights="small/words"']) == 0
    assert "audio tokens" in capsys.readouterr().out
