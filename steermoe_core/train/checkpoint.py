"""Checkpoints: trained tensors and the state of training, written atomically, sealed and verified.

    checkpoints/step-<n>/   trained.safetensors, optimizer.pt, scheduler.pt, rng_state.pth, trainer_state.json
                            and loss.json, and seal.json with the size and SHA-256 of each

A folder gets its name when it is complete. `latest` skips a damaged checkpoint. Other folders, such as a copy
called `step-20.bak`, are ignored.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import re
import shutil
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from steermoe_core.config.naming import first_line
from steermoe_core.errors import CheckpointError
from steermoe_core.model.weights import inflates
from steermoe_core.system.files import saving
from steermoe_core.train import ranks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from steermoe_core.model.joined import Joined

log = logging.getLogger("steermoe")

TRAINED = "trained.safetensors"
SEAL = "seal.json"
OPTIMIZER = "optimizer.pt"
SCHEDULER = "scheduler.pt"
STATE = "trainer_state.json"
LOSS = "loss.json"
#: Key of the whole loss among the losses by name; no name of a loss is empty.
TOTAL = ""
_NAME = re.compile(r"step-\d+")


def trained_tensors(model: Joined) -> dict[str, torch.Tensor]:
    """Return what training changes: trainable parameters, and the buffers of adapters and projector."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    parts: dict[str, nn.Module] = {"adapter": model.adapter, "projector": model.projector}
    if model.decoder_adapter is not None:
        parts["decoder_adapter"] = model.decoder_adapter
    state = {
        f"{part}.{name}": tensor
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    towers: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}
    inside = {
        name: parameter
        for tower, module in towers.items()
        for name, parameter in module.named_parameters(prefix=tower)
        if parameter.requires_grad
    }
    return {name: tensor for name, tensor in {**state, **inside}.items() if name not in frozen}


def save_trained(model: Joined, path: Path) -> None:
    """Write the trained tensors atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in trained_tensors(model).items()}
    partial = path.with_suffix(".partial")
    with saving(path):
        try:
            save_file(tensors, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


class UnfitError(CheckpointError):
    """The tensors of a file are not those of the model."""


def load_trained(model: Joined, path: Path) -> None:
    """Read trained tensors into the model.

    :raises CheckpointError: the file is damaged.
    :raises UnfitError: its tensors are not the model's; the message lists them.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        msg = f"{path} cannot be read ({error}); it is damaged or not a file of trained tensors"
        raise CheckpointError(msg) from error
    own = trained_tensors(model)
    if differences := _differences(own, tensors):
        msg = f"{path} does not fit this model: {'; '.join(differences[:5])}"
        raise UnfitError(msg)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


@contextmanager
def new_checkpoint(final: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; it is sealed and renamed at the end of the block."""
    partial = _partial(final)
    shutil.rmtree(partial, ignore_errors=True)
    with saving(final):
        try:
            partial.mkdir(parents=True)
            yield partial
            _seal(partial)
            shutil.rmtree(final, ignore_errors=True)  # a damaged one, if the run resumed from before it
            partial.replace(final)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def shared_checkpoint(final: Path) -> Iterator[Path]:
    """Yield one `new_checkpoint` to all processes; rank 0 creates and seals it: a collective."""
    with new_checkpoint(final) if ranks.first() else nullcontext(_partial(final)) as partial:
        ranks.barrier()  # until the folder exists
        yield partial
        ranks.barrier()  # until every process has written


def latest(folder: Path) -> Path | None:
    """Return the newest intact checkpoint of a run; None if there is none yet.

    :raises CheckpointError: there are checkpoints and all of them are damaged.
    """
    checkpoints = all_checkpoints(folder)
    for checkpoint in reversed(checkpoints):
        if (fault := _fault(checkpoint)) is None:
            return checkpoint
        log.warning("checkpoint %s is damaged (%s); going back to the one before", checkpoint, fault)
    if checkpoints:
        msg = f"every checkpoint in {folder} is damaged; delete that folder to train from the start"
        raise CheckpointError(msg)
    return None


def all_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a run in the order of their steps."""
    found = (path for path in folder.glob("step-*") if _NAME.fullmatch(path.name) and path.is_dir())
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """Return the step that a checkpoint's name says."""
    return int(checkpoint.name.removeprefix("step-"))


@contextmanager
def restoring(checkpoint: Path | str) -> Iterator[None]:
    """Turn errors of reading a checkpoint's states inside the block into one message.

    The seal is intact, so the files were sealed with other contents than a training writes.

    :raises CheckpointError: the files hold something else, or could run code.
    """
    if bombs := [path.name for path in sorted(Path(checkpoint).glob("*.pt*")) if inflates(path)]:
        way = "delete it to go back to the checkpoint before it"
        msg = f"{checkpoint} is not loaded: the contents of {bombs[0]} are larger than the file; {way}"
        raise CheckpointError(msg)
    try:
        yield
    except torch.OutOfMemoryError:  # the GPU is full, the files may be fine
        raise
    except (
        pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError,
        RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        reason = first_line(error).partition(". ")[0][:120]
        msg = (
            f"{checkpoint} is not loaded: its optimizer, schedule or random numbers are not those of a "
            f"training, or could run code ({reason}); delete it to go back to the checkpoint before it"
        )
        raise CheckpointError(msg) from error


def intact(checkpoint: Path) -> Path:
    """Return a checkpoint after comparing it with its seal.

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
    """Return transformers' `TrainerState` of a checkpoint.

    :raises CheckpointError: its file is missing, or holds something else.
    """
    from transformers import TrainerState

    path = checkpoint / STATE
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
        step, best = found["global_step"], found["best_global_step"]
        TrainerState(**found)
    except (OSError, ValueError, TypeError, LookupError) as error:
        msg = f"{path} is not the state of a training ({error}); delete {checkpoint} to go back behind it"
        raise CheckpointError(msg) from error
    if type(step) is not int or not (best is None or type(best) is int):
        msg = f"{path} is not the state of a training (its steps are no numbers); delete {checkpoint}"
        raise CheckpointError(msg)
    return found


def save_loss(checkpoint: Path, since: int, sums: list[dict[str, float]]) -> None:
    """Write the losses that a checkpoint's steps have added since the last logged step.

    :param since: the last logged step.
    :param sums: of each process: of each loss by name, and of `TOTAL`.
    """
    (checkpoint / LOSS).write_text(json.dumps({"since": since, "sums": sums}), encoding="utf-8")


def load_loss(checkpoint: Path) -> tuple[int, list[dict[str, float]]]:
    """Return ``since`` and ``sums`` of `save_loss`.

    :raises CheckpointError: the file is missing or holds something else.
    """
    with restoring(checkpoint):
        record = json.loads((checkpoint / LOSS).read_text(encoding="utf-8"))
        # A number: a checkpoint from before losses had names.
        sums = [one if isinstance(one, dict) else {TOTAL: one} for one in record["sums"]]
        return int(record["since"]), [{name: float(loss) for name, loss in one.items()} for one in sums]


def prune(folder: Path, keep: int, *, best: bool = False) -> None:
    """Delete all but the newest checkpoints, and partial ones that a killed run left.

    :param best: also keep the checkpoints that the newest record as the best so far.
    """
    checkpoints = all_checkpoints(folder)
    named = {f"step-{_best_step(checkpoint)}" for checkpoint in checkpoints[-keep:]} if best else set()
    old = [checkpoint for checkpoint in checkpoints[:-keep] if checkpoint.name not in named]
    for leftover in [*old, *folder.glob(".step-*.partial")]:
        shutil.rmtree(leftover, ignore_errors=True)  # one that cannot be deleted does no harm


def _best_step(checkpoint: Path) -> int | None:
    try:
        return history(checkpoint).get("best_global_step")
    except CheckpointError:  # no run resumes from it
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
    if changed := [name for name in found if found[name] != seal.get(name)]:
        return f"{changed[0]} was changed or cut short"
    try:
        step = history(folder)["global_step"]
    except CheckpointError:
        return f"{STATE} is not the state of a training"
    return None if step == step_of(folder) else f"{STATE} is of step {step}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
