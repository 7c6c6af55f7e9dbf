"""The adapter folder: trained tensors with the identity of the frozen parts they belong to.

    adapter/adapter.safetensors   trained tensors only
    adapter/adapter.json          names and fingerprints of the frozen encoder and decoder, step, counts
    adapter/experiment.toml       the model's part of the experiment, from which it is built again

The frozen parts themselves are never written: the file is less than a hundredth of their size.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from steermoe_core.errors import CheckpointError
from steermoe_core.model.weights import fingerprint
from steermoe_core.run.folder.records import AdapterCard, FrozenPart
from steermoe_core.run.folder.run_folder import whole_folder, write_json, write_text
from steermoe_core.train.checkpoint import load_trained, save_trained, trained_tensors
from steermoe_core.train.deepspeed import whole
from steermoe_core.train.groups import trainable_groups

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.model.joined import Joined
    from steermoe_core.run.folder.records import TrainingEnd

PARTS = ("encoder", "decoder")


def identity(model: Joined) -> dict[str, str]:
    """Return the SHA-256 of each frozen part's tensors."""
    return {part: fingerprint(getattr(model, part), whole) for part in PARTS}


def save(
    folder: Path,
    model: Joined,
    experiment: Experiment,
    toml: str,
    frozen: dict[str, str],
    training: TrainingEnd,
) -> None:
    """Write the adapter folder; it appears whole or not at all."""
    with whole_folder(folder) as partial:
        save_trained(model, partial / "adapter.safetensors")
        write_text(partial / "experiment.toml", toml)
        write_json(partial / "adapter.json", _card(model, experiment, frozen, training))


def load(folder: Path, model: Joined, frozen: dict[str, str]) -> None:
    """Read an adapter into a model.

    :param frozen: the `identity` of this model's frozen parts.
    :raises CheckpointError: it was trained on other frozen parts, or is damaged.
    """
    card = AdapterCard.read(folder / "adapter.json")
    for part, trained in card.frozen.items():
        if trained.sha256 != frozen[part]:
            msg = (
                f"{folder} was trained on {part} {trained.label} (weights {trained.sha256[:12]}), "
                f"but this {part} has weights {frozen[part][:12]}; use the {part} it was trained on"
            )
            raise CheckpointError(msg)
    load_trained(model, folder / "adapter.safetensors")


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
        msg = f"{folder / name} cannot be read ({error.strerror}); {AdapterCard.REMEDY}"
        raise CheckpointError(msg) from error


def _card(
    model: Joined, experiment: Experiment, frozen: dict[str, str], training: TrainingEnd
) -> AdapterCard:
    selections = {"encoder": experiment.encoder, "decoder": experiment.decoder}
    return AdapterCard(
        experiment=experiment.experiment.name,
        step=training.adapter_step,
        training=training,
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        groups={name: sum(p.numel() for p in group) for name, group in trainable_groups(model).items()},
        tensors={name: list(tensor.shape) for name, tensor in trained_tensors(model).items()},
        frozen={
            part: FrozenPart(use=one.name, weights=getattr(one.config, "weights", None), sha256=frozen[part])
            for part, one in selections.items()
        },
    )
