"""Runs that score what they do not train on, and what their certificates say."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from steermoe_core.plugins import load_registry
from steermoe_core.run.certify.certify import certify_run
from steermoe_core.run.console import Console
from tests.tiny import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

NAMES = [
    "frozen-stayed-frozen",
    "text-only-bit-identical",
    "batch-invariance",
    "every-tensor-got-gradient",
    "whole-splits",
    "no-train-eval-overlap",
]
#: Nothing in it is trained on: neither its words nor its sounds.
FRESH = ('data.eval.dev.path="new"', 'data.eval.other.path="new"')
TEXTS = ["please transcribe", "what is it", "the text", "content"]
BF16 = 'decoder.dtype="bfloat16"'
SIGMOID = 'adapter.router={use="sigmoid"}'
Q_FORMER = 'projector={use="q-former"}'


def write_new(rig: Rig, *texts: str) -> None:
    """Write what is scored, with other texts where they are given."""
    shutil.rmtree(rig.folder / "new", ignore_errors=True)
    write_folder(rig.folder / "new", texts or TEXTS, [1.2, 0.9, 0.6, 1.7][: len(texts or TEXTS)])


def certificates(run: Path) -> dict[str, dict[str, Any]]:
    """Return certificates.json by name."""
    found = json.loads((run / "certificates.json").read_text())
    assert found.keys() == {"format", "certificates", "made", "seconds"}
    return {one["name"]: one for one in found["certificates"]}


def failed(run: Path) -> dict[str, str]:
    """Return why certificates fail."""
    return {name: one["why"] for name, one in certificates(run).items() if one["passed"] is False}


def again(run: Path) -> dict[str, dict[str, Any]]:
    """Measure the certificates of a finished run anew."""
    certify_run(run, load_registry(), Console(quiet=True))
    return certificates(run)
