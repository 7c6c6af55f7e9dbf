"""What the frozen encoder gives for each training clip, kept on disk, so that it is computed once.

It serves every run whose adapter leaves the encoder as it is: the projection-only ablation, its other seeds,
an adapter after the encoder. Each clip is encoded by itself, so that its frames do not depend on what else a
run trains on, and a run that finds them there gives the same numbers as the one that made them.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from safetensors.torch import save

from steermoe_core.data.audio.features import FRAMES, Kept
from steermoe_core.data.audio.waveform import fingerprints
from steermoe_core.system.cache import cache_folder
from steermoe_core.system.files import saving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from steermoe_core.component import Selection
    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.model.encoder import Encoder

#: Lengths of the noise that an encoder is known by, in seconds.
_PROBES = (0.3, 1.0, 4.0)


class FrameStore:
    """The frames of one encoder, in a folder that belongs to what it computes.

    :param encoder: where it computes, with its weights.
    :param selection: its settings.
    :param fingerprint: SHA-256 of its tensors.
    """

    def __init__(self, encoder: Encoder, selection: Selection, fingerprint: str) -> None:
        self.encoder = encoder
        known_by = [
            fingerprint,
            _settings(selection.config),
            platform.machine(),
            torch.__version__,
            _noise_hash(encoder),
        ]
        digest = hashlib.sha256(json.dumps(known_by).encode()).hexdigest()
        self.folder = cache_folder() / "frames" / f"{selection.name}-{digest[:16]}"

    def keep(
        self,
        examples: Sequence[Example],
        wanted: Iterable[int],
        collator: Collator,
        progressed: Callable[[int], None] = lambda _: None,
    ) -> list[Example]:
        """Return the examples, those that are wanted with their frames on disk.

        :param wanted: numbers of examples.
        :param collator: makes the encoder's input of one example.
        :param progressed: called with 1 after each example.
        :raises DataError: a clip cannot be read.
        :raises CheckpointError: the disk is full or not writable.
        """
        found = list(examples)
        numbers = sorted(set(wanted))
        heard = fingerprints(examples[number].audio for number in numbers)
        for number, name in zip(numbers, heard, strict=True):
            example = examples[number]
            path = self.folder / f"{name}-{example.speed:g}.safetensors"
            if name is None or not path.exists():
                frames = self._encoded(example, collator)  # raises for a clip that has no fingerprint
                _write(path, frames)
            found[number] = attrs.evolve(example, audio=Kept(path, example.audio))
            progressed(1)
        return found

    @torch.no_grad()
    def _encoded(self, example: Example, collator: Collator) -> torch.Tensor:
        device = next(self.encoder.parameters()).device
        features = collator.collate([example], answered=False).features.to(device)
        frames: torch.Tensor = self.encoder(features).rows()[0]
        return frames.cpu().contiguous()


def _settings(config: Any) -> str:
    """Return an encoder's settings; its weights are known by their hash, wherever they lie."""
    return repr({name: value for name, value in attrs.asdict(config).items() if name != "weights"})


@torch.no_grad()
def _noise_hash(encoder: Encoder) -> str:
    """Return a hash of what an encoder makes of noise, in which a change of its code or libraries shows."""
    random = np.random.default_rng(0)
    digest = hashlib.sha256()
    device = next(encoder.parameters()).device
    for seconds in _PROBES:
        wave = random.normal(0.0, 0.1, round(seconds * encoder.sample_rate)).astype(np.float32)
        frames = encoder(encoder.features([wave]).to(device)).rows()[0]
        digest.update(frames.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _write(path: Path, frames: torch.Tensor) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with saving(path, "set STEERMOE_CACHE to another folder"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(save({FRAMES: frames}))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
