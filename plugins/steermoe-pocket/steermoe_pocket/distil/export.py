"""From a trained student to the folder that the encoder `conformer` loads, with a card of how good it is."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_conformer.checkpoint import Checkpoint, write
from steermoe_conformer.cmvn import Cmvn
from steermoe_pocket.config import WeightsConfig
from steermoe_pocket.conformer import conformer_tiny
from steermoe_pocket.distil.measure import measure
from steermoe_pocket.distil.probe import frozen, probe
from steermoe_pocket.distil.training import TRAINED
from steermoe_pocket.progress import working

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.padded import Padded
    from steermoe_pocket.distil.stream import Lesson
    from steermoe_pocket.distil.student import Student
    from steermoe_pocket.distil.training import Training

#: Synthetic clips that the probe learns from, beside all human ones.
_PROBED = 600


def export(training: Training, folder: Path) -> None:
    """Write weights in fp16 and `card.json`."""
    training.student.eval()
    scale = training.student.features
    network = training.student.network.state_dict()
    checkpoint = Checkpoint(training.student.shape, network, Cmvn(scale.mean, scale.deviation))
    write(folder, checkpoint, torch.float16)
    with working("measuring the student on held-out clips"):
        text = json.dumps(card(training), indent=2)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")


def card(training: Training) -> dict[str, Any]:
    """Return what was done and what came of it; every figure is of the dev parts."""
    settings, student = training.settings, training.student
    clips = {source: training.clips_of(source) for source in TRAINED}
    return {
        "teacher": "pocket/whisper-tiny.en, encoder on true lengths; frames in pairs, columns of variance 1",
        "parameters": sum(tensor.numel() for tensor in student.network.parameters()),
        "command": settings.command(),
        "settings": attrs.asdict(settings),
        "started_from": _carried() if settings.carried else None,
        "steps": training.step,
        "train_hours": {
            name: round(sum(c.seconds for c in found) / 3600, 3) for name, found in clips.items()
        },
        "heard_hours": round(training.heard / 3600, 2),
        "seconds_in_steps": round(training.seconds),
        "dev": {name: measure(student, training.lessons, held) for name, held in training.held_out.items()},
        "linear_probe": _probes(training),
    }


def _carried() -> dict[str, Any]:
    """Return the SHA-256 of the weights that this package carries, and their card."""
    folder = conformer_tiny(WeightsConfig())
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return {"sha256": weights, "card": json.loads((folder / "card.json").read_text(encoding="utf-8"))}


def _probes(training: Training) -> dict[str, Any]:
    """Return what linear CTC heads read from the student's frames and from pairs of the teacher's."""
    synthetic = training.clips_of("synthetic")
    chosen = random.Random(0).sample(synthetic, min(_PROBED, len(synthetic)))  # noqa: S311  # no secret
    clips = [*training.clips_of("human"), *chosen]
    kinds = {"student": _student(training.student), "teacher": _teacher}
    train = frozen(training.lessons, clips, kinds)
    held_out = {name: frozen(training.lessons, held, kinds) for name, held in training.held_out.items()}
    return {
        kind: probe(
            train[kind], {name: held[kind] for name, held in held_out.items()}, training.settings.seed
        )
        for kind in kinds
    }


def _student(student: Student) -> Any:
    def frames(lesson: Lesson) -> Padded:
        found: Padded = student(lesson.features)
        return found

    return frames


def _teacher(lesson: Lesson) -> Padded:
    return lesson.targets
