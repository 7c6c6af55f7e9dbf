"""A disk cache of the frozen encoder's output for training clips.

It serves every run whose adapter does not change the encoder: the projection-only ablation, its other seeds,
an adapter after the encoder. Each clip is encoded alone, so that its frames do not depend on the other clips,
and a run that reads them from disk gives the same numbers as the run that computed them.
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

#: Lengths, in seconds, of the noise whose frames identify an encoder.
_PROBES = (0.3, 1.0, 4.0)


class FrameStore:
    """The frames of one encoder, in a folder named after its weights, settings, platform and output.

    :param encoder: with its weights, on the device that computes.
    :param selection: its settings.
    :param fingerprint: SHA-256 of its tensors.
    """

    def __init__(self, encoder: Encoder, selection: Selection, fingerprint: str) -> None:
        self.encoder = encoder
        identity = [
            fingerprint,
            _settings(selection.config),
            platform.machine(),
            torch.__version__,
            _output_hash(encoder),
        ]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        self.folder = cache_folder() / "frames" / f"{selection.name}-{digest[:16]}"

    def keep(
        self,
        examples: Sequence[Example],
        numbers: Iterable[int],
        collator: Collator,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[Example]:
        """Return the examples, with the frames of some on disk.

        :param numbers: indices of the examples to keep frames of.
        :param collator: makes the encoder's input of one example.
        :param advance: called with 1 after each of them.
        :raises DataError: a clip cannot be read.
        :raises CheckpointError: the disk is full or not writable.
        """
        kept = list(examples)
        ordered = sorted(set(numbers))
        names = fingerprints(examples[number].audio for number in ordered)
        for number, name in zip(ordered, names, strict=True):
            example = examples[number]
            path = self.folder / f"{name}-{example.speed:g}.safetensors"
            if name is None or not path.exists():
                frames = self._encoded(example, collator)  # raises the error of a clip without a name
                _write(path, frames)
            kept[number] = attrs.evolve(example, audio=Kept(path, example.audio))
            advance(1)
        return kept

    @torch.no_grad()
    def _encoded(self, example: Example, collator: Collator) -> torch.Tensor:
        device = next(self.encoder.parameters()).device
        features = collator.collate([example], answered=False).features.to(device)
        frames: torch.Tensor = self.encoder(features).rows()[0]
        return frames.cpu().contiguous()


def _settings(config: Any) -> str:
    """Return an encoder's settings without `weights`, which the fingerprint identifies wherever they are."""
    return repr({name: value for name, value in attrs.asdict(config).items() if name != "weights"})


@torch.no_grad()
def _output_hash(encoder: Encoder) -> str:
    """Return a hash of an encoder's output for noise, which changes with its code and libraries."""
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
