"""Weights of the conformer on disk: the public checkpoints' form, and a safe one of our own.

    model.pth.tar + cmvn.ark (or cmvn.txt)     as FireRedTeam/FireRedASR-AED-L has them
    config.json + model.safetensors            what `write` writes; the CMVN lies among the tensors

Either is loaded strictly: all of the encoder's tensors, no others, each of its shape.
"""

from __future__ import annotations

import argparse
import json
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from steermoe_conformer import cmvn
from steermoe_conformer.cmvn import Cmvn
from steermoe_conformer.network import AED_L, Network, Shape, filtered
from steermoe_core.errors import SetupError
from steermoe_core.model.weights import absent, inflates
from steermoe_core.system import hub

if TYPE_CHECKING:
    from collections.abc import Mapping

    State = Mapping[str, torch.Tensor]

_TAR, _STATISTICS = "model.pth.tar", ("cmvn.ark", "cmvn.txt")
_CONFIG, _TENSORS = "config.json", "model.safetensors"
#: Says in a config.json what the folder holds.
_KIND = {"architecture": "firered-conformer"}
#: Settings of the public checkpoints by the names that they have here.
_ARGS = {
    "bins": "idim",
    "width": "d_model",
    "layers": "n_layers_enc",
    "heads": "n_head",
    "kernel": "kernel_size",
}
_PREFIX = "encoder."
#: A table of positions that are computed here.
_UNUSED = frozenset({"positional_encoding.pe"})
#: Shapes of published models, for plans on machines without a hub.
KNOWN = {"FireRedTeam/FireRedASR-AED-L": AED_L}


@attrs.frozen(eq=False)
class Checkpoint:
    """A conformer as it lies on disk.

    :param state: tensors of the network by name.
    """

    shape: Shape
    state: State
    cmvn: Cmvn


def shape_of(weights: str) -> Shape:
    """Return the shape of a conformer without reading its weights, nor fetching them.

    :param weights: a folder or a hub id.
    :raises SetupError: there is none.
    """
    if weights in KNOWN and not Path(weights).exists():
        return KNOWN[weights]
    if not Path(weights).is_dir():
        return _settings(_fetched(weights, [_CONFIG]) / _CONFIG)
    folder = _folder(weights)
    if _own(folder):
        shape = _settings(folder / _CONFIG)
        _check_claims(shape, _shapes(folder / _TENSORS), folder / _TENSORS)
        return shape
    return _public_shape(_opened(folder / _TAR), folder / _TAR)


def read(weights: str) -> Checkpoint:
    """Return a conformer with its weights.

    :param weights: a folder or a hub id.
    :raises SetupError: there is none, or it is damaged or another network.
    """
    folder = _folder(weights)
    return _read_own(folder) if _own(folder) else _read_public(folder)


def write(folder: Path, checkpoint: Checkpoint, dtype: torch.dtype) -> None:
    """Write `config.json` and `model.safetensors` with the weights in `dtype`, the CMVN in fp32."""
    tensors = {name: tensor.detach().to(dtype).contiguous() for name, tensor in checkpoint.state.items()}
    statistics = {f"cmvn.{name}": tensor for name, tensor in attrs.asdict(checkpoint.cmvn).items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({**tensors, **statistics}, folder / _TENSORS)
    (folder / _TENSORS).chmod(0o644)  # it is written for its owner alone
    settings = {**_KIND, **attrs.asdict(checkpoint.shape)}
    (folder / _CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _folder(weights: str) -> Path:
    wanted = [_TAR, *_STATISTICS, _CONFIG, _TENSORS]
    folder = Path(weights) if Path(weights).is_dir() else _fetched(weights, wanted)
    names = {path.name for path in folder.iterdir()}
    if {_CONFIG, _TENSORS} <= names or (_TAR in names and names & set(_STATISTICS)):
        return folder
    msg = (
        f"no conformer at {weights!r}: the folder holds neither {_TAR} with {_STATISTICS[0]} nor {_CONFIG} "
        f"with {_TENSORS}; name one that does"
    )
    raise SetupError(msg)


def _fetched(weights: str, files: list[str]) -> Path:
    if hub.is_path(weights):
        raise absent(weights)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    with hub.asking() as silence:
        try:
            return Path(snapshot_download(weights, allow_patterns=files))
        except (OSError, HFValidationError) as error:  # all errors of the hub are OSErrors but one
            reason = silence or str(error).strip().partition("\n")[0][:200]
            raise absent(weights, reason) from error


def _own(folder: Path) -> bool:
    return (folder / _TENSORS).exists()


def _read_own(folder: Path) -> Checkpoint:
    shape, path = _settings(folder / _CONFIG), folder / _TENSORS
    _check_claims(shape, _shapes(path), path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None
    statistics = {name: torch.ones(shape.bins) for name in ("cmvn.mean", "cmvn.deviation")}
    _check(tensors, {**_expected(shape), **statistics}, path)
    normalisation = Cmvn(*(tensors.pop(name).float() for name in statistics))
    return Checkpoint(shape, tensors, normalisation)


def _settings(path: Path) -> Shape:
    try:
        found = json.loads(path.read_text("utf-8"))
        if found.items() >= _KIND.items():
            return Shape(**{name: number for name, number in found.items() if name not in _KIND})
    except (AttributeError, TypeError, ValueError) as error:
        raise _damaged(path, error) from None
    msg = (
        f"{path} describes another model than a FireRedASR conformer; for other models take the encoder `hf`"
    )
    raise SetupError(msg)


def _read_public(folder: Path) -> Checkpoint:
    path = folder / _TAR
    opened = _opened(path)
    shape = _public_shape(opened, path)
    state = _encoder(opened.get("model_state_dict"), path)
    _check(state, _expected(shape), path)
    statistics = next(folder / name for name in _STATISTICS if (folder / name).exists())
    return Checkpoint(shape, state, cmvn.read(statistics, shape.bins))


def _opened(path: Path) -> dict[str, Any]:
    """Return what `torch.save` wrote, if that is nothing but tensors and settings; no code of it is run."""
    if inflates(path):
        msg = f"{path} is not loaded: its contents are larger than the file, which no checkpoint's are"
        raise SetupError(msg)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), torch.device("cpu"):
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0].partition(". ")[0][:120]
        msg = (
            f"{path} is not loaded: it is damaged, or it holds more than tensors and settings, and could run "
            f"code ({reason})"
        )
        raise SetupError(msg) from None
    if not isinstance(found, dict):
        raise _strange(path)
    return found


def _arguments(opened: dict[str, Any], path: Path) -> Shape:
    found = opened.get("args")
    if not isinstance(found, argparse.Namespace):
        raise _strange(path)
    missing = [name for name in _ARGS.values() if not hasattr(found, name)]
    if missing:
        msg = (
            f"{path} does not say its {missing[0]}; it is no FireRedASR-AED checkpoint, or of another version"
        )
        raise SetupError(msg)
    try:
        return Shape(**{own: getattr(found, name) for own, name in _ARGS.items()})
    except (TypeError, ValueError) as error:
        raise _damaged(path, error) from None


def _encoder(state: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the encoder's tensors under the names of `Network`; the decoder's are left where they are."""
    if not isinstance(state, dict):
        raise _strange(path)
    names = [str(name) for name in state]
    own = {name: state[name] for name in names if name.startswith(_PREFIX)}
    if not own:
        msg = f"{path} holds no tensor of an encoder; name the folder of a FireRedASR-AED model"
        raise SetupError(msg)
    short = {name.removeprefix(_PREFIX): tensor for name, tensor in own.items()}
    return {name: tensor for name, tensor in short.items() if name not in _UNUSED}


def _public_shape(opened: dict[str, Any], path: Path) -> Shape:
    """Return the shape that a public checkpoint claims, if its tensors have it."""
    shape = _arguments(opened, path)
    state = _encoder(opened.get("model_state_dict"), path)
    _check_claims(shape, {name: tuple(tensor.shape) for name, tensor in state.items()}, path)
    return shape


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes in a file of safetensors, of which only the head is read."""
    try:
        with safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def _check_claims(shape: Shape, found: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Compare what the settings claim with the tensors, before anything of that size is built.

    :raises SetupError: for the first claim that is not true.
    """
    blocks = {name.split(".")[1] for name in found if name.startswith("layer_stack.")}
    if shape.layers > len(blocks):
        msg = f"{path} has {len(blocks)} layers, not {shape.layers} as its settings say; fetch it again"
        raise SetupError(msg)
    for what, claimed, name, axis in (
        ("width", shape.width, "input_preprocessor.out.weight", 0),
        ("heads", shape.heads, "layer_stack.0.mhsa.pos_bias_u", 0),
        ("kernel", shape.kernel, "layer_stack.0.conv.depthwise_conv.weight", -1),
        ("filtered mel bins", filtered(shape), "input_preprocessor.out.weight", 1),
    ):
        there = found.get(name, ())
        if len(there) < 2 or there[axis] != claimed:  # noqa: PLR2004 - all of these are matrices or more
            shown = f"the shape {there}" if there else "no tensor"
            msg = f"{path} has {shown} for {name}, but {what} {claimed} in its settings; fetch it again"
            raise SetupError(msg)


def _expected(shape: Shape) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return dict(Network(shape).state_dict())


def _check(found: State, expected: State, path: Path) -> None:
    """Compare names and shapes.

    :raises SetupError: for the first difference.
    """
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing:
        msg = f"{path} lacks {len(missing)} of the encoder's tensors, {missing[0]} among them; fetch it again"
        raise SetupError(msg)
    if extra:
        msg = f"{path} holds {extra[0]}, which this encoder does not have; it is of another network"
        raise SetupError(msg)
    for name, tensor in expected.items():
        if tuple(found[name].shape) != tuple(tensor.shape):
            shapes = f"{tuple(found[name].shape)}, not {tuple(tensor.shape)} as its settings say"
            msg = f"{path}: {name} has the shape {shapes}; fetch it again"
            raise SetupError(msg)


def _strange(path: Path) -> SetupError:
    return SetupError(f"{path} is no checkpoint of FireRedASR: it lacks `args` or `model_state_dict`")


def _damaged(path: Path, error: Exception) -> SetupError:
    reason = str(error.args[0] if error.args else error).strip().partition("\n")[0][:120]
    return SetupError(f"{path} is damaged ({reason}); fetch or copy it again")
