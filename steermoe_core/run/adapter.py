"""The adapter folder: trained tensors with the identity of the frozen parts they belong to.

    adapter/adapter.safetensors   trained tensors only
    adapter/adapter.json          names and fingerprints of the frozen encoder and decoder, step, counts
    adapter/experiment.toml       the resolved experiment, from which the model is built again
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import CheckpointError
from steermoe_core.model.weights import fingerprint
from steermoe_core.run.folder import write_json
from steermoe_core.train.checkpoint import load_trained, save_trained, trained_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.model.joined import Joined

FORMAT = 1
PARTS = ("encoder", "decoder")


def identity(model: Joined) -> dict[str, str]:
    """Return the SHA-256 of each frozen part's tensors."""
    return {part: fingerprint(getattr(model, part)) for part in PARTS}


def save(folder: Path, model: Joined, experiment: Experiment, toml: str, frozen: dict[str, str], step: int) -> None:
    """Write the adapter folder; it appears whole or not at all."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_trained(model, partial / "adapter.safetensors")
    (partial / "experiment.toml").write_text(toml, encoding="utf-8")
    write_json(partial / "adapter.json", _card(model, experiment, frozen, step))
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def load(folder: Path, model: Joined, frozen: dict[str, str]) -> dict[str, Any]:
    """Read an adapter into a model and return its adapter.json.

    :param frozen: the `identity` of this model's frozen parts.
    :raises CheckpointError: it was trained on other frozen parts, or is damaged.
    """
    try:
        card = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        msg = f"{folder} is not an adapter folder: its adapter.json cannot be read ({error})"
        raise CheckpointError(msg) from error
    for part in PARTS:
        made_on = card["frozen"][part]
        if made_on["sha256"] != frozen[part]:
            msg = (
                f"{folder} was trained on {part} {made_on['weights'] or made_on['use']} (weights {made_on['sha256'][:12]}), "
                f"but this {part} has weights {frozen[part][:12]}; use the {part} it was trained on"
            )
            raise CheckpointError(msg)
    load_trained(model, folder / "adapter.safetensors")
    return dict(card)


def _card(model: Joined, experiment: Experiment, frozen: dict[str, str], step: int) -> dict[str, Any]:
    tensors = trained_tensors(model)
    selections = {"encoder": experiment.encoder, "decoder": experiment.decoder}
    return {
        "format": FORMAT,
        "experiment": experiment.experiment.name,
        "step": step,
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
