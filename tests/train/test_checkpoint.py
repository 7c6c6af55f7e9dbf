"""Checkpoints are whole or not there; damage is seen, and what does not fit is named."""

from __future__ import annotations

import errno
import json
import logging
import random
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from steermoe_core.errors import CheckpointError
from steermoe_core.train import checkpoint
from steermoe_core.train.checkpoint import (
    SEAL,
    TOTAL,
    TRAINED,
    all_checkpoints,
    latest,
    load_loss,
    load_trained,
    new_checkpoint,
    prune,
    save_loss,
    save_trained,
    trained_tensors,
)
from tests.parts import TinyConfig, TinyEncoder, joined, steering

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, *steps: int) -> None:
    """Write small checkpoints."""
    for step in steps:
        with new_checkpoint(folder / f"step-{step}") as partial:
            (partial / TRAINED).write_bytes(bytes(range(100)))
            state = {"global_step": step, "best_global_step": None}
            (partial / "trainer_state.json").write_text(json.dumps(state))


def full_disk(*_: object, **__: object) -> None:
    """Fail like a disk without room."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_loss_of_an_older_checkpoint_has_no_names(tmp_path: Path) -> None:
    """It is read as the whole loss, whose parts are unknown."""
    losses = [{TOTAL: 0.5, "ctc": 0.25}, {TOTAL: 1.5}]
    save_loss(tmp_path, 3, losses)
    assert load_loss(tmp_path) == (3, losses)

    (tmp_path / "loss.json").write_text('{"since": 3, "sums": [0.5, 1.5]}')
    assert load_loss(tmp_path) == (3, [{TOTAL: 0.5}, {TOTAL: 1.5}])


class TestTrainedTensors:
    """The file of trained tensors."""

    def test_holds_nothing_frozen(self, decoder_folder: str, tmp_path: Path) -> None:
        """Its names are those of adapter and projector; a model that reads it has their values."""
        model, other = joined(decoder_folder), joined(decoder_folder)
        for parameter in trained_tensors(other).values():
            parameter.data.normal_()
        save_trained(model, tmp_path / TRAINED)

        load_trained(other, tmp_path / TRAINED)

        names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert set(load_file(tmp_path / TRAINED)) == names
        assert all(name.startswith(("adapter.", "projector.")) for name in names)
        for name, tensor in trained_tensors(model).items():
            assert torch.equal(tensor, trained_tensors(other)[name])

    def test_holds_what_is_trained_inside_the_encoder(self, decoder_folder: str) -> None:
        """Weights that an adapter adds to the encoder belong to it."""
        model = joined(decoder_folder)
        model.encoder.first.lora = torch.nn.Linear(3, 2)

        assert {"encoder.first.lora.weight", "encoder.first.lora.bias"} <= set(trained_tensors(model))
        assert "encoder.first.weight" not in trained_tensors(model)

    def test_that_do_not_fit_are_named(self, decoder_folder: str, tmp_path: Path) -> None:
        """The message names tensors and both shapes; the model is left as it was."""
        encoder = TinyEncoder(TinyConfig())
        save_trained(
            joined(decoder_folder, steering(encoder, experts=2), encoder=encoder), tmp_path / TRAINED
        )
        model = joined(decoder_folder)
        before = {name: tensor.clone() for name, tensor in trained_tensors(model).items()}

        with pytest.raises(
            CheckpointError, match=r"adapter.vectors is \(3, 2, 12\) there and \(3, 4, 12\) here"
        ):
            load_trained(model, tmp_path / TRAINED)

        assert all(torch.equal(tensor, before[name]) for name, tensor in trained_tensors(model).items())

    def test_that_are_missing_or_unknown_are_named(self, decoder_folder: str, tmp_path: Path) -> None:
        """Half an adapter is not an adapter."""
        model, other = joined(decoder_folder), joined(decoder_folder)
        other.projector = torch.nn.Linear(2, 2)
        save_trained(other, tmp_path / TRAINED)

        with pytest.raises(
            CheckpointError, match=r"projector.map.weight is missing.*projector.weight is unknown"
        ):
            load_trained(model, tmp_path / TRAINED)

    @pytest.mark.parametrize("content", [b"", b"rubbish", None])
    def test_that_cannot_be_read_are_refused(
        self, decoder_folder: str, tmp_path: Path, content: bytes | None
    ) -> None:
        """An empty, foreign or missing file is an error with its name."""
        if content is not None:
            (tmp_path / TRAINED).write_bytes(content)

        with pytest.raises(CheckpointError, match=f"{TRAINED} cannot be read"):
            load_trained(joined(decoder_folder), tmp_path / TRAINED)

    def test_are_written_whole_or_not_at_all(
        self, decoder_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a full disk the old file stays, nothing half is left, and the message says what to do."""
        model = joined(decoder_folder)
        save_trained(model, tmp_path / TRAINED)
        before = (tmp_path / TRAINED).read_bytes()

        def half(tensors: object, path: Path) -> None:
            path.write_bytes(b"half")
            full_disk()

        monkeypatch.setattr(checkpoint, "save_file", half)
        with pytest.raises(CheckpointError, match=r"was not saved .*No space left on device.*make room"):
            save_trained(model, tmp_path / TRAINED)

        assert [path.name for path in tmp_path.iterdir()] == [TRAINED]
        assert (tmp_path / TRAINED).read_bytes() == before


class TestNewCheckpoint:
    """A folder that appears complete and sealed."""

    def test_is_sealed(self, tmp_path: Path) -> None:
        """The seal lists every file with its size and hash; nothing else is left in the folder."""
        write(tmp_path, 3)

        assert [path.name for path in tmp_path.iterdir()] == ["step-3"]
        seal = json.loads((tmp_path / "step-3" / SEAL).read_text())
        assert {name: facts["bytes"] for name, facts in seal.items()} == {
            TRAINED: 100,
            "trainer_state.json": 44,
        }

    def test_leaves_nothing_when_the_disk_is_full(self, tmp_path: Path) -> None:
        """Half a checkpoint disappears, the ones before it stay."""
        write(tmp_path, 3)
        with (  # noqa: PT012 - the block is what fails
            pytest.raises(CheckpointError, match="step-6 was not saved"),
            new_checkpoint(tmp_path / "step-6") as partial,
        ):
            (partial / "optimizer.pt").write_bytes(b"half")
            full_disk()

        assert [path.name for path in tmp_path.iterdir()] == ["step-3"]

    def test_leaves_nothing_when_the_seal_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a seal there is no checkpoint."""
        monkeypatch.setattr(checkpoint, "_seal", full_disk)

        with pytest.raises(CheckpointError, match="No space left"):
            write(tmp_path, 3)
        assert list(tmp_path.iterdir()) == []

    def test_other_errors_stay_what_they_are(self, tmp_path: Path) -> None:
        """A Ctrl-C while saving is a Ctrl-C."""
        with pytest.raises(KeyboardInterrupt), new_checkpoint(tmp_path / "step-1"):
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []

    def test_replaces_one_of_the_same_step(self, tmp_path: Path) -> None:
        """What a kill left half written, and a damaged checkpoint of that step, are overwritten."""
        (tmp_path / ".step-3.partial").mkdir()
        (tmp_path / ".step-3.partial" / "old").write_text("old")
        write(tmp_path, 3, 3)

        assert sorted(path.name for path in (tmp_path / "step-3").iterdir()) == [
            SEAL,
            TRAINED,
            "trainer_state.json",
        ]


class TestLatest:
    """The newest intact checkpoint."""

    def test_goes_by_steps_and_not_by_names(self, tmp_path: Path) -> None:
        """Step 10 comes after step 9."""
        assert latest(tmp_path) is None
        write(tmp_path, 10, 9)

        assert latest(tmp_path) == tmp_path / "step-10"
        assert [path.name for path in all_checkpoints(tmp_path)] == ["step-9", "step-10"]

    @given(st.data())
    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_damage_is_seen(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        """A byte changed or cut off in any file, or a file gone or added, disqualifies a checkpoint."""
        folder = tmp_path_factory.mktemp("run")
        write(folder, 1, 2)
        path = folder / "step-2" / data.draw(st.sampled_from([TRAINED, "trainer_state.json", SEAL, "new"]))
        content = path.read_bytes() if path.exists() else b""
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        damage = data.draw(st.sampled_from(["flip", "cut", "delete"])) if content else "add"
        changed = {
            "flip": content[:place]
            + bytes([content[place] ^ 0x5A] if content else [])
            + content[place + 1 :],
            "cut": content[:place],
            "add": b"",
            "delete": None,
        }[damage]
        path.unlink(missing_ok=True)
        if changed is not None:
            path.write_bytes(changed)

        if path.name == SEAL and changed is not None and _same(changed, content):
            assert latest(folder) == folder / "step-2"
        else:
            assert latest(folder) == folder / "step-1"

    def test_warns_of_a_damaged_one(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The warning names the checkpoint and the file."""
        write(tmp_path, 1, 2)
        (tmp_path / "step-2" / TRAINED).write_bytes(b"")

        with caplog.at_level(logging.WARNING, "steermoe"):
            assert latest(tmp_path) == tmp_path / "step-1"

        assert f"step-2 is damaged ({TRAINED} was changed or cut short); going back" in caplog.text

    def test_refuses_when_all_are_damaged(self, tmp_path: Path) -> None:
        """A run is not silently started anew."""
        write(tmp_path, 1, 2)
        for folder in all_checkpoints(tmp_path):
            (folder / SEAL).unlink()

        with pytest.raises(CheckpointError, match=r"every checkpoint in .* is damaged"):
            latest(tmp_path)


def _same(changed: bytes, content: bytes) -> bool:
    """Return whether a seal still says the same, such as when only its layout changed."""
    try:
        return bool(json.loads(changed) == json.loads(content))
    except ValueError:
        return False


class TestCopies:
    """What people put beside checkpoints."""

    @pytest.mark.parametrize("name", ["step-9.bak", "step-9 (copy)", "step-", "step-old", "step--1"])
    def test_other_names_are_not_looked_at(self, tmp_path: Path, name: str) -> None:
        """A backup is none of the run's checkpoints, and is never deleted."""
        write(tmp_path, 1, 2)
        shutil.copytree(tmp_path / "step-2", tmp_path / name)

        prune(tmp_path, keep=1)

        assert all_checkpoints(tmp_path) == [latest(tmp_path)] == [tmp_path / "step-2"]
        assert (tmp_path / name).is_dir()

    def test_a_file_is_no_checkpoint(self, tmp_path: Path) -> None:
        """Nor is it deleted."""
        write(tmp_path, 1)
        (tmp_path / "step-2").touch()

        prune(tmp_path, keep=1)

        assert latest(tmp_path) == tmp_path / "step-1"

    def test_a_renamed_one_is_damaged(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A checkpoint of another step would train some steps twice."""
        write(tmp_path, 1, 2)
        (tmp_path / "step-2").rename(tmp_path / "step-7")

        assert latest(tmp_path) == tmp_path / "step-1"
        assert "step-7 is damaged (trainer_state.json is of step 2)" in caplog.text


@pytest.mark.parametrize(
    "content",
    ["", "rubbish", "[]", "{}", "3", '{"global_step": "2", "best_global_step": null}',
     '{"global_step": 2, "best_global_step": null, "no_such_key": 1}'],
)  # fmt: skip
def test_sealed_rubbish_is_damage(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    """A state that transformers cannot read disqualifies a checkpoint, whatever its seal says."""
    write(tmp_path, 1, 2)
    (tmp_path / "step-2" / "trainer_state.json").write_text(content)
    checkpoint._seal(tmp_path / "step-2")

    assert latest(tmp_path) == tmp_path / "step-1"
    assert "step-2 is damaged (trainer_state.json is not the state of a training)" in caplog.text


def test_prune_keeps_the_newest(tmp_path: Path) -> None:
    """Older checkpoints go, and so does what a kill left half written."""
    steps = list(range(1, 12))
    random.Random(0).shuffle(steps)
    write(tmp_path, *steps)
    (tmp_path / ".step-7.partial").mkdir()

    prune(tmp_path, keep=2)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-11"]
