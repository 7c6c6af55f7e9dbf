"""The adapter folder: trained tensors with the identity of the frozen parts they belong to.

    adapter/adapter.safetensors   trained tensors only
    adapter/adapter.json          names and fingerprints of the frozen encoder and decoder, step, counts
    adapter/experiment.toml       the model's part of the experiment, from which it is built again

The frozen parts themselves are never written: the file is less than a hundredth of their size.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import CheckpointError
from steermoe_core.model.weights import fingerprint
from steermoe_core.run.folder.run_folder import whole_folder, write_json, write_text
from steermoe_core.system.json_shapes import NUMBER, DamagedError, read_json
from steermoe_core.train.checkpoint import load_trained, save_trained, trained_tensors
from steermoe_core.train.deepspeed import whole

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.model.joined import Joined

FORMAT = 1
PARTS = ("encoder", "decoder")
_PART = {"use": str, "weights": (None, str), "sha256": str}
_BEST = {"step": int, "metric": str, "value": NUMBER}
_TRAINING = {"steps": int, "of": int, "ended": str, "adapter_step": int, "best": (None, _BEST)}
#: What every adapter.json has.
_CARD = {
    "experiment": str,
    "step": int,
    "trainable_parameters": int,
    "tensors": {"*": [int]},
    "frozen": dict.fromkeys(PARTS, _PART),
    "training?": (None, _TRAINING),  # earlier versions did not write it
}


def identity(model: Joined) -> dict[str, str]:
    """Return the SHA-256 of each frozen part's tensors."""
    return {part: fingerprint(getattr(model, part), whole) for part in PARTS}


def save(
    folder: Path,
    model: Joined,
    experiment: Experiment,
    toml: str,
    frozen: dict[str, str],
    training: dict[str, Any],
) -> None:
    """Write the adapter folder; it appears whole or not at all.

    :param training: how training ended: what `validation.ending` returns.
    """
    with whole_folder(folder) as partial:
        save_trained(model, partial / "adapter.safetensors")
        write_text(partial / "experiment.toml", toml)
        write_json(partial / "adapter.json", _card(model, experiment, frozen, training))


def load(folder: Path, model: Joined, frozen: dict[str, str]) -> dict[str, Any]:
    """Read an adapter into a model and return its adapter.json.

    :param frozen: the `identity` of this model's frozen parts.
    :raises CheckpointError: it was trained on other frozen parts, or is damaged.
    """
    card = read_card(folder)
    for part in PARTS:
        made_on = card["frozen"][part]
        if made_on["sha256"] != frozen[part]:
            name, weights = made_on["weights"] or made_on["use"], made_on["sha256"][:12]
            msg = (
                f"{folder} was trained on {part} {name} (weights {weights}), "
                f"but this {part} has weights {frozen[part][:12]}; use the {part} it was trained on"
            )
            raise CheckpointError(msg)
    load_trained(model, folder / "adapter.safetensors")
    return card


def checksum(folder: Path) -> str:
    """Return the SHA-256 of an adapter's file of tensors.

    :raises CheckpointError: it is missing.
    """
    return hashlib.sha256(content(folder, "adapter.safetensors")).hexdigest()


def content(folder: Path, name: str) -> bytes:
    """Return a file of an adapter folder.

    :raises CheckpointError: it is missing.
    """
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        way = "copy the adapter folder again or train it anew"
        msg = f"{folder / name} cannot be read ({error.strerror}); {way}"
        raise CheckpointError(msg) from error


def read_card(folder: Path) -> dict[str, Any]:
    """Return a folder's adapter.json.

    :raises CheckpointError: it is missing, damaged or of a later format.
    """
    path = folder / "adapter.json"
    try:
        form = read_json(path, {"format": int})["format"]
        if form == FORMAT:
            return dict(read_json(path, _CARD))
    except (FileNotFoundError, DamagedError) as error:
        reason = error if isinstance(error, DamagedError) else "it is missing"
        msg = f"{path} cannot be read: {reason}; copy the adapter folder again or train it anew"
        raise CheckpointError(msg) from error
    msg = f"{path} has format {form}, and this steermoe reads {FORMAT}; use the version that wrote it"
    raise CheckpointError(msg)


def _card(
    model: Joined, experiment: Experiment, frozen: dict[str, str], training: dict[str, Any]
) -> dict[str, Any]:
    tensors = trained_tensors(model)
    selections = {"encoder": experiment.encoder, "decoder": experiment.decoder}
    return {
        "format": FORMAT,
        "experiment": experiment.experiment.name,
        "step": training["adapter_step"],
        "training": training,
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "tensors": {name: list(tensor.shape) for name, tensor in tensors.items()},
        "frozen": {
            part: {
                "use": selections[part].name,
                "weights": getattr(selections[part].config, "weights", None),
                "sha256": frozen[part],
            }
            for part in PARTS
        },
    }
