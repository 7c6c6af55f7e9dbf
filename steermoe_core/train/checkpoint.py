"""Files of trained tensors: never a frozen weight, never half a file, never the wrong model.

    checkpoints/step-<n>/   trained.safetensors, optimizer.pt, scheduler.pt, rng_state.pth, trainer_state.json
                            and seal.json with the size and SHA-256 of each

A folder gets its name when it is complete; a damaged one is passed over for the one before it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from steermoe_core.errors import CheckpointError
from steermoe_core.saving import saving
from steermoe_core.train import ranks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from steermoe_core.model.joined import Joined

log = logging.getLogger("steermoe")

TRAINED = "trained.safetensors"
SEAL = "seal.json"
STATE = "trainer_state.json"


def trained_tensors(model: Joined) -> dict[str, torch.Tensor]:
    """Return everything that training changes: the trainable parameters and the buffers beside them."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    parts = {"adapter": model.adapter, "projector": model.projector}
    state = {
        f"{part}.{name}": tensor
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    inside = {n: p for n, p in model.encoder.named_parameters(prefix="encoder") if p.requires_grad}
    return {name: tensor for name, tensor in {**state, **inside}.items() if name not in frozen}


def save_trained(model: Joined, path: Path) -> None:
    """Write the trained tensors; the file appears whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in trained_tensors(model).items()}
    partial = path.with_suffix(".partial")
    with saving(path):
        try:
            save_file(tensors, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def load_trained(model: Joined, path: Path) -> None:
    """Read trained tensors into the model.

    :raises CheckpointError: the file is damaged, or its tensors are not the model's; the difference is named.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        msg = f"{path} cannot be read ({error}); it is damaged or not a file of trained tensors"
        raise CheckpointError(msg) from error
    own = trained_tensors(model)
    if differences := _differences(own, tensors):
        msg = f"{path} does not fit this model: {'; '.join(differences[:5])}"
        raise CheckpointError(msg)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


@contextmanager
def new_checkpoint(final: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it gets its final name when it is complete and sealed."""
    partial = _partial(final)
    shutil.rmtree(partial, ignore_errors=True)
    with saving(final):
        try:
            partial.mkdir(parents=True)
            yield partial
            _seal(partial)
            shutil.rmtree(final, ignore_errors=True)  # a damaged one, that the run went back behind
            partial.replace(final)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def common_checkpoint(final: Path) -> Iterator[Path]:
    """Give all processes one `new_checkpoint` to fill; rank 0 makes and seals it."""
    with new_checkpoint(final) if ranks.first() else nullcontext(_partial(final)) as partial:
        ranks.barrier()  # the folder is there
        yield partial
        ranks.barrier()  # everybody has written


def latest(folder: Path) -> Path | None:
    """Return the newest intact checkpoint of a run; None if there is none yet.

    :raises CheckpointError: there are checkpoints and all of them are damaged.
    """
    found = all_checkpoints(folder)
    for checkpoint in reversed(found):
        if (fault := _fault(checkpoint)) is None:
            return checkpoint
        log.warning("checkpoint %s is damaged (%s); going back to the one before", checkpoint, fault)
    if found:
        msg = f"every checkpoint in {folder} is damaged; delete that folder to train from the start"
        raise CheckpointError(msg)
    return None


def all_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a run in the order of their steps."""
    return sorted(folder.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))


def intact(checkpoint: Path) -> Path:
    """Return a checkpoint that has to be there as it was written.

    :raises CheckpointError: it is missing or damaged.
    """
    if (fault := _fault(checkpoint)) is not None:
        msg = (
            f"checkpoint {checkpoint} is damaged ({fault}) and no other can take its place; "
            f"delete {checkpoint.parent} to train from the start"
        )
        raise CheckpointError(msg)
    return checkpoint


def history(checkpoint: Path) -> dict[str, Any]:
    """Return what transformers' `TrainerState` knew at a checkpoint."""
    return dict(json.loads((checkpoint / STATE).read_text(encoding="utf-8")))


def prune(folder: Path, keep: int, *, best: bool = False) -> None:
    """Delete all but the newest checkpoints, and what a kill left half written.

    :param best: keep those, too, that the newest name as the best so far.
    """
    found = all_checkpoints(folder)
    named = {f"step-{_best_step(checkpoint)}" for checkpoint in found[-keep:]} if best else set()
    old = [checkpoint for checkpoint in found[:-keep] if checkpoint.name not in named]
    for leftover in [*old, *folder.glob(".step-*.partial")]:
        shutil.rmtree(leftover, ignore_errors=True)  # what cannot be deleted is in nobody's way


def _best_step(checkpoint: Path) -> int | None:
    try:
        return history(checkpoint).get("best_global_step")
    except (OSError, ValueError, TypeError):  # damaged: nobody goes on from it
        return None


def _differences(own: dict[str, torch.Tensor], given: dict[str, torch.Tensor]) -> list[str]:
    missing = [f"{name} is missing" for name in own if name not in given]
    extra = [f"{name} is unknown here" for name in given if name not in own]
    shapes = [
        f"{name} is {tuple(given[name].shape)} there and {tuple(own[name].shape)} here"
        for name in own
        if name in given and own[name].shape != given[name].shape
    ]
    return missing + extra + shapes


def _partial(final: Path) -> Path:
    return final.with_name(f".{final.name}.partial")


def _seal(folder: Path) -> None:
    (folder / SEAL).write_text(json.dumps(_contents(folder), indent=1), encoding="utf-8")


def _contents(folder: Path) -> dict[str, Any]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / SEAL]
    return {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in files
    }


def _fault(folder: Path) -> str | None:
    try:
        seal = dict(json.loads((folder / SEAL).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # ValueError: neither UTF-8 nor JSON, or no table
        return f"{SEAL} is missing or cut short"
    found = _contents(folder)
    if missing := seal.keys() - found.keys():
        return f"{min(missing)} is missing"
    changed = [name for name in found if found[name] != seal.get(name)]
    return f"{changed[0]} was changed or cut short" if changed else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
