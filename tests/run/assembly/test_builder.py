"""Building a model: what is compared starts alike, and nothing is noisy until it is trained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch
from safetensors.torch import load_file

from steermoe_core.cli.main import main
from steermoe_core.config.resolve import resolve
from steermoe_core.data.config import FolderConfig
from steermoe_core.data.example import Example
from steermoe_core.data.examples import Examples
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.errors import ConfigError, UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder, data_record
from tests.parts import save_whisper
from tests.rig import metrics, sentence, texts, trained
from tests.tiny import write_folder

if TYPE_CHECKING:
    from steermoe_core.model.joined import Joined
    from tests.rig import Rig

RIDGE = 'projector={use="linear", pool={kernel=2}, start="ridge", trained=false}'


def build(rig: Rig, *sets: str) -> Joined:
    """Build the model of the experiment with some changed keys."""
    registry = load_registry()
    return Builder(resolve(rig.file, sets, registry).experiment, registry).model()


def test_a_projector_starts_alike_beside_every_adapter(rig: Rig) -> None:
    """Variants that are compared differ in their adapter alone."""
    models = [build(rig), build(rig, "adapter.experts=2"), build(rig, 'adapter={use="none"}')]

    for model in models[1:]:
        assert torch.equal(model.projector.map.weight, models[0].projector.map.weight)
        assert torch.equal(model.projector.map.bias, models[0].projector.map.bias)


def test_only_a_ctc_head_proposes_texts(rig: Rig) -> None:
    """A run that could not be scored ends before it is trained."""
    with pytest.raises(UsageError, match=r"nbest is 3, but the projector linear has no CTC head") as refused:
        build(rig, "evaluate.nbest=3")

    assert str(refused.value).endswith("set it to 0")


def test_a_model_is_built_in_eval_mode(rig: Rig) -> None:
    """Whoever only reads with it hears no noise."""
    assert not any(module.training for module in build(rig).modules())


def test_noise_in_training_leaves_scores_alone(rig: Rig) -> None:
    """Scores right after training are those of the saved adapter, though the router was shaken."""
    run = rig.run('adapter.router={use="softmax", jitter=0.9}')
    before = texts(run)
    assert main(["evaluate", str(run), "--again"]) == 0

    assert texts(run) == before


@pytest.mark.parametrize(
    "change",
    [{"id": "b"}, {"text": "no"}, {"seconds": 2.0}, {"prompt": "why?"}, {"references": ("yes", "no")}],
)
def test_data_with_any_difference_has_another_hash(tmp_path: Path, change: dict[str, Any]) -> None:
    """Whatever a clip is asked or judged by counts, beside what is heard."""
    clip = Example(id="a", audio=tmp_path / "a.wav", text="yes", seconds=1.0)

    assert data_record([clip]) == data_record([attrs.evolve(clip)])
    assert data_record([attrs.evolve(clip, **change)]).sha256 != data_record([clip]).sha256


def test_the_hash_of_data_is_the_same_in_every_version(tmp_path: Path) -> None:
    """Runs of older versions compare with it."""
    first = Example(id="a", audio=Path("/no/a.wav"), text="yes é", seconds=1.23456)
    other = Example(
        id="b", audio=Path("/no/b.wav"), text="", seconds=math.nan, prompt="why?", references=("x", "y")
    )

    assert data_record([first]).hours == 0.0003
    assert data_record([first]).sha256 == "ab320322a96964a1907dfe9c012eaa64f0b9b4d5dfe9e67ab9dffb1bb4c51361"
    assert (
        data_record([first, other]).sha256
        == "bf26e1e2a73e23581ae5dca7cf0bffadb1fa20caf9ef1f4417cf27acbcf38351"
    )


def test_the_record_of_an_index_is_kept(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of the same examples in a list; a part of them has another."""
    folder = write_folder(tmp_path / "clips")
    eager = list(read_folder(FolderConfig(path=folder)))
    monkeypatch.setattr("steermoe_core.data.index.LEAST", 1)
    lazy = Examples.of(read_folder(FolderConfig(path=folder)))

    assert data_record(lazy) == data_record(eager)
    assert data_record(lazy[2:5]) == data_record(eager[2:5])
    assert data_record(lazy.lasting(lazy.seconds * 2)) != data_record(eager)
    assert len(list((own_cache / "records").iterdir())) == 3
    monkeypatch.setattr("steermoe_core.run.assembly.builder._digest", lambda _: "read again")
    assert data_record(lazy) != data_record(eager)
    assert data_record(lazy).sha256 != "read again"
    for file in (own_cache / "records").iterdir():
        file.write_text("damaged")
    assert data_record(lazy).sha256 == "read again"


class TestUntrainedProjection:
    """A projection that stays as the data made it, in a whole run."""

    def test_is_saved_with_the_adapter_and_read_again(self, rig: Rig) -> None:
        """It comes from the data, so no seed could bring it back; scores from the file are the same."""
        run = rig.run(RIDGE)
        tensors = load_file(run / "adapter" / "adapter.safetensors")
        before = texts(run)

        assert main(["evaluate", str(run), "--again"]) == 0

        assert texts(run) == before
        assert {"projector.map.weight", "projector.map.bias"} <= set(tensors)
        fresh = build(rig, RIDGE).projector.map.weight
        assert not torch.equal(tensors["projector.map.weight"], fresh)

    def test_stays_as_it_started(self, rig: Rig) -> None:
        """Other rates change the adapter and nothing of it."""
        slow, fast = (
            load_file(rig.run(RIDGE, f"train.learning_rate={rate}") / "adapter" / "adapter.safetensors")
            for rate in ("{projector=1e-3, steering=1e-3}", "{projector=0.1, steering=0.1}")
        )

        assert torch.equal(slow["projector.map.weight"], fast["projector.map.weight"])
        assert not torch.equal(slow["adapter.vectors"], fast["adapter.vectors"])

    def test_alone_is_nothing_to_train(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """The run says so in one sentence."""
        rig.run(RIDGE, 'adapter={use="none"}', expect=2)

        assert "nothing is trained" in sentence(capsys)


def test_a_run_that_goes_on_hears_the_same_noise(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after three of six steps, the tensors are those of the run that was not."""
    shaken = 'adapter.router={use="shared-mixed", jitter=0.5}'
    monkeypatch.setenv("RIG", "interrupt@3")
    rig.run(shaken, expect=130)
    monkeypatch.delenv("RIG")
    resumed = rig.run(shaken)
    rig.runs = tmp_path / "straight"

    assert trained(resumed) == trained(rig.run(shaken))


class TestFeaturesOnTheDevice:
    """`train.features = "device"`."""

    def test_train_the_same(self, rig: Rig, tmp_path: Path) -> None:
        """Losses of every step, and the adapter, differ by rounding."""
        encoder = f'encoder={{use="whisper", weights="{save_whisper(tmp_path / "whisper")}"}}'
        settings = encoder, "train.steps=3", "evaluate.probes=false", "data.eval={}", "metrics=[]"

        host, device = rig.run(*settings), rig.run(*settings, 'train.features="device"')

        assert device != host
        losses = [[line["loss"] for line in metrics(run)] for run in (host, device)]
        assert losses[1] == pytest.approx(losses[0], abs=1e-3)

    def test_need_an_encoder_that_has_them(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """One sentence that says what to set."""
        rig.run('train.features="device"', expect=2)

        assert sentence(capsys) == (
            'encoder "tiny" computes features on the host only, but train.features is "device"; '
            'set it to "loader"'
        )

    def test_leave_nothing_to_augment(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """What changes features would have none."""
        rig.run('train.features="device"', 'augment=[{use="wobble"}]', expect=2)

        assert sentence(capsys).startswith(
            "augment.0 (wobble) changes features on the host, but train.features"
        )

    def test_cannot_be_kept_frames(self, rig: Rig) -> None:
        """A contradiction between two keys, with its place."""
        with pytest.raises(ConfigError, match="features is device, but keep_frames is true"):
            build(rig, 'train.features="device"', "train.keep_frames=true")
