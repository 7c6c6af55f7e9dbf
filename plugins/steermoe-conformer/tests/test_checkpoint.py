"""Weights on disk: both forms, strictly, and what is said of everything else."""

from __future__ import annotations

import argparse
import json
import os
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_conformer import checkpoint
from steermoe_conformer.network import AED_L, Shape
from steermoe_core.errors import SetupError
from tests.conformers import SMALL, arguments, random_network, save_public, state, statistics

if TYPE_CHECKING:
    from pathlib import Path


def refused(folder: Path | str) -> str:
    """Return the sentence that refuses a folder."""
    with pytest.raises(SetupError) as caught:
        checkpoint.read(str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_public_form_is_loaded_tensor_by_tensor(public: str) -> None:
    """The encoder's tensors come under their names, settings from `args`, statistics from cmvn.ark."""
    found = checkpoint.read(public)
    wanted = random_network().state_dict()

    assert found.shape == SMALL
    assert found.state.keys() == wanted.keys()
    assert all(torch.equal(found.state[name], tensor) for name, tensor in wanted.items())
    sums = torch.from_numpy(statistics())
    torch.testing.assert_close(found.cmvn.mean, (sums[0, :-1] / sums[0, -1]).float())


def test_files_of_old_torch_are_loaded_too(tmp_path: Path, public: str) -> None:
    """Checkpoints from before torch's zip files cannot be mapped into memory, and are read."""
    save_public(tmp_path)
    found = {"args": arguments(), "model_state_dict": OrderedDict(state(random_network()))}
    torch.save(found, tmp_path / "model.pth.tar", _use_new_zipfile_serialization=False)

    old, new = checkpoint.read(str(tmp_path)).state, checkpoint.read(public).state

    assert all(torch.equal(old[name], tensor) for name, tensor in new.items())


def test_text_statistics_stand_in_for_binary_ones(tmp_path: Path, public: str) -> None:
    """A folder with cmvn.txt alone is complete."""
    save_public(tmp_path)
    rows = "\n".join(" ".join(repr(float(number)) for number in row) for row in statistics())
    (tmp_path / "cmvn.ark").unlink()
    (tmp_path / "cmvn.txt").write_text(f" [\n{rows} ]\n")

    assert torch.equal(checkpoint.read(str(tmp_path)).cmvn.mean, checkpoint.read(public).cmvn.mean)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_own_form_holds_the_same(tmp_path: Path, public: str, dtype: torch.dtype) -> None:
    """What `write` writes, `read` reads: weights in the type asked for, statistics in fp32."""
    found = checkpoint.read(public)

    checkpoint.write(tmp_path / "own", found, dtype)
    again = checkpoint.read(str(tmp_path / "own"))

    assert again.shape == checkpoint.shape_of(str(tmp_path / "own")) == SMALL
    assert all(torch.equal(again.state[name], tensor.to(dtype)) for name, tensor in found.state.items())
    assert torch.equal(again.cmvn.deviation, found.cmvn.deviation)


def test_shape_is_known_without_weights(public: str) -> None:
    """From the settings of a folder; of the published model, from here."""
    assert checkpoint.shape_of(public) == SMALL
    assert checkpoint.shape_of("FireRedTeam/FireRedASR-AED-L") == AED_L


def test_hub_models_are_fetched_file_by_file(public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub id brings the files that are needed and nothing else of the repository."""
    asked = []

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, set(allow_patterns)))
        return public

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)

    assert checkpoint.read("FireRedTeam/FireRedASR-AED-L").shape == SMALL
    files = {"model.pth.tar", "cmvn.ark", "cmvn.txt", "config.json", "model.safetensors"}
    assert asked == [("FireRedTeam/FireRedASR-AED-L", files)]


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    """A pickle that asks for more than tensors and settings is refused, and nothing of it happens."""
    trace = tmp_path / "trace"
    save_public(tmp_path)
    args = arguments(evil=Evil(f"touch {trace}"))
    torch.save({"args": args, "model_state_dict": {}}, tmp_path / "model.pth.tar")

    assert "could run code" in refused(tmp_path)
    assert not trace.exists()


def changed(**other: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint with some replaced, added or (None) left out."""
    tensors: dict[str, Any] = {**state(random_network()), **{f"encoder.{n}": t for n, t in other.items()}}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


NORM = "layer_stack.1.mhsa.layer_norm_k.weight"


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (changed(**{NORM: None}), f"lacks 1 of the encoder's tensors, {NORM} among them"),
        (changed(**{"layer_stack.3.conv.bias": torch.zeros(2)}), "holds layer_stack.3.conv.bias, which this"),
        (changed(**{NORM: torch.zeros(3)}), f"{NORM} has the shape (3,), not (16,)"),
        ({"decoder.x": torch.zeros(2)}, "holds no tensor of an encoder"),
        (["no", "tensors"], "lacks `args` or `model_state_dict`"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, tensors: Any, sentence: str) -> None:
    """A tensor too few, too many or of another shape is named."""
    assert sentence in refused(save_public(tmp_path, tensors))


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (argparse.Namespace(idim=80), "does not say its d_model"),
        ({"idim": 80}, "lacks `args`"),
        (arguments(n_head=5), "no conformer has width 16, 5 heads"),
        (arguments(d_model="wide"), "is damaged"),
        (arguments(n_layers_enc=10**9), "is damaged ('layers' must be <= 1000"),
        (arguments(n_layers_enc=999), "has 3 layers, not 999 as its settings say"),
        (arguments(n_layers_enc=True), "holds layer_stack.1"),
        (arguments(n_layers_enc=3.0), "is damaged ('layers' must be <class 'int'>"),
        (arguments(d_model=10**12), "is damaged ('width' must be <= 65536"),
        (arguments(d_model=32), "has the shape (16, 608) for input_preprocessor.out.weight, but width 32"),
        (arguments(n_head=8), "layer_stack.0.mhsa.pos_bias_u, but heads 8 in its settings"),
        (arguments(kernel_size=65535), "conv.depthwise_conv.weight, but kernel 65535 in its settings"),
        (arguments(idim=128), "input_preprocessor.out.weight, but filtered mel bins 992 in its settings"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, args: Any, sentence: str) -> None:
    """Settings that make no network are named."""
    assert sentence in refused(save_public(tmp_path, args=args))


@pytest.mark.parametrize("claim", [{"layers": 10**9}, {"layers": 900}, {"width": 10**12}, {"width": 65536}])
def test_claims_are_checked_before_anything_is_built(
    tmp_path: Path, public: str, claim: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a config.json or `args` claims, the tensors decide; also where only the shape is asked."""
    checkpoint.write(tmp_path, checkpoint.read(public), torch.float32)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **claim}))
    monkeypatch.setattr(checkpoint, "Network", None)

    with pytest.raises(SetupError):
        checkpoint.shape_of(str(tmp_path))
    refused(tmp_path)


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    """A compressed checkpoint of a gigabyte of zeros is refused by its size."""
    save_public(tmp_path)
    path = tmp_path / "model.pth.tar"
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content if name.endswith(".pkl") else bytes(10 * len(content)))

    assert "its contents are larger than the file" in refused(tmp_path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """A download that broke off, or something that is no checkpoint at all."""
    path = tmp_path / "model.pth.tar"
    save_public(tmp_path)
    path.write_bytes(path.read_bytes()[:2000])
    assert "damaged" in refused(tmp_path)

    path.write_text("<html>not found</html>")
    assert "damaged" in refused(tmp_path)

    torch.save([1, 2], path)
    assert "no checkpoint of FireRedASR" in refused(tmp_path)


def test_own_form_is_checked_as_well(tmp_path: Path, public: str) -> None:
    """Another model's config, another's tensors, a file cut short."""
    checkpoint.write(tmp_path, checkpoint.read(public), torch.float32)
    config, tensors = tmp_path / "config.json", tmp_path / "model.safetensors"
    good = config.read_text()

    config.write_text(json.dumps({**json.loads(good), "layers": 2}))
    assert "holds layer_stack.2" in refused(tmp_path)
    config.write_text(json.dumps({**json.loads(good), "colour": 2}))
    assert "is damaged" in refused(tmp_path)
    config.write_text('{"model_type": "whisper"}')
    assert "describes another model" in refused(tmp_path)
    config.write_text("[]")
    assert "is damaged" in refused(tmp_path)
    config.write_text(good)
    tensors.write_bytes(tensors.read_bytes()[:100])
    assert "is damaged" in refused(tmp_path)


def test_folders_without_a_conformer_are_refused(tmp_path: Path) -> None:
    """Half of either form is none; a path that leads nowhere is one."""
    save_public(tmp_path / "half")
    (tmp_path / "half" / "cmvn.ark").unlink()

    assert "holds neither model.pth.tar with cmvn.ark" in refused(tmp_path / "half")
    assert "there is no such file or folder" in refused(tmp_path / "nothing")


def test_wrong_statistics_are_refused(tmp_path: Path) -> None:
    """Statistics of another width belong to another model."""
    shape = Shape(bins=40, width=16, layers=1, heads=4, kernel=5)
    folder = save_public(tmp_path, state(random_network(shape)), arguments(shape))

    assert "an encoder of 40 mel bins needs" in refused(folder)
