"""certificates.json: what was measured on a run itself to show that its numbers can be trusted."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.resolve import resolve
from steermoe_core.errors import DataError, SetupError
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.assembly.trained import trained_builder, trained_folder
from steermoe_core.run.certify.from_model import model_proofs
from steermoe_core.run.certify.from_record import gradients, no_overlap, whole_splits
from steermoe_core.run.folder.records import Certificates
from steermoe_core.run.folder.run_folder import now, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.data.example import Example
    from steermoe_core.plugins import Registry
    from steermoe_core.run.assembly.builder import Builder
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.records import Certificate
    from steermoe_core.run.folder.run_folder import RunFolder


def certify_run(path: Path, registry: Registry, console: Console) -> Certificates:
    """Measure the certificates of a trained run again, and write and return certificates.json.

    :raises UsageError: there is no such run, or it has no adapter yet.
    """
    folder = trained_folder(path)
    with folder.held(), console.warnings():
        return certify(folder, registry, console)


def certify(folder: RunFolder, registry: Registry, console: Console) -> Certificates:
    """Measure the certificates of a trained run whose folder is held; write and return certificates.json."""
    gc.collect()  # a model that was trained here before is memory that this one needs
    started = time.monotonic()
    resolved = resolve(folder.experiment, [], registry)
    with placed(resolved.experiment, resolved.path, resolved.origins):
        builder = trained_builder(folder, resolved.experiment, registry)
        found = _measured(builder, folder, console)
    command = f"steermoe certify {folder.path}"
    content = Certificates(
        certificates=[attrs.evolve(one, command=command) for one in found],
        made=now(),
        seconds=round(time.monotonic() - started, 1),
    )
    write_json(folder.certificates, content)
    return content


def _measured(builder: Builder, folder: RunFolder, console: Console) -> list[Certificate]:
    splits, missing = _splits(builder)
    with console.task("measuring certificates"):
        of_model, model = model_proofs(builder, folder, splits)
    return [
        *of_model,
        gradients(builder.experiment, folder, model.projector.start_steps),
        whole_splits(folder, splits, missing),
        no_overlap(builder, folder, model, splits, missing, console),
    ]


def _splits(builder: Builder) -> tuple[dict[str, Sequence[Example]], dict[str, str]]:
    """Return the examples of each split that is scored, and why those of the others cannot be read."""
    splits: dict[str, Sequence[Example]] = {}
    missing = {}
    for name, source in builder.experiment.data.eval.items():
        try:
            splits[name] = builder.examples(source)
        except (DataError, SetupError) as error:
            missing[name] = str(error)
    return splits, missing
