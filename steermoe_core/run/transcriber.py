"""Use a trained run: three lines from a file to a text.

    import steermoe_core
    model = steermoe_core.load("runs/whisper-layer-wise-1a2b3c4d")
    print(model.transcribe(["speech.wav"]))

What it needs is the folder, or ``hub:OWNER/NAME``, and the frozen parts that its adapter was trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steermoe_core.config.resolve import resolve_model
from steermoe_core.data import audio
from steermoe_core.errors import DataError
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.model.generate import generate
from steermoe_core.plugins import load_registry
from steermoe_core.run import adapter
from steermoe_core.run.build import ModelBuilder
from steermoe_core.run.device import move
from steermoe_core.run.hub import adapter_folder
from steermoe_core.run.parts import placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.plugins import Registry


class Transcriber:
    """A trained model that turns sound into text.

    :param source: a run folder, an adapter folder on its own, or ``hub:OWNER/NAME[@REVISION]``.
    :param device: where it computes; `auto` takes a GPU where there is one.
    :raises UsageError: it is none of these.
    :raises SetupError: the hub did not give it.
    :raises CheckpointError: the frozen parts on this machine are not those it was trained on.
    """

    def __init__(self, source: str | Path, registry: Registry, device: str = "auto") -> None:
        folder = adapter_folder(source)
        self.experiment = resolve_model(folder / "experiment.toml", registry)
        self.builder = ModelBuilder(self.experiment, registry)
        with placed(self.experiment, folder / "experiment.toml"):
            self.model = self.builder.model()
            adapter.load(folder, self.model, adapter.identity(self.model))
            move(self.model, device)
            self.collator = self.builder.collator(self.model)

    def transcribe(self, sounds: Sequence[str | Path | np.ndarray], prompt: str | None = None) -> list[str]:
        """Return the text of each sound.

        :param sounds: paths of files in any format that libsndfile reads, or waveforms (float32, mono, at the
            encoder's sample rate).
        :param prompt: what to ask of each sound, in place of the collator's own prompt.
        :raises DataError: a file cannot be read, a clip is longer than the encoder takes, or the collator has
            no place for the prompt.
        """
        waves = [self._wave(sound, number) for number, sound in enumerate(sounds, start=1)]
        texts: list[str] = []
        size = self.experiment.evaluate.batch_size
        for start in range(0, len(waves), size):
            texts += self._batch(waves[start : start + size], prompt)
        return texts

    def _batch(self, waves: list[np.ndarray], prompt: str | None) -> list[str]:
        evaluator = Evaluator(self.model, self.collator, self.experiment.evaluate, metrics=[], seed=0)
        limits = [evaluator.limit(len(wave) / self.model.encoder.sample_rate) for wave in waves]
        prompts = None if prompt is None else [prompt] * len(waves)
        batch = self.collator.prompt_batch(waves, prompts).to(next(self.model.parameters()).device)
        return [self.collator.hypothesis(answer.ids) for answer in generate(self.model, batch, limits)]

    def _wave(self, sound: str | Path | np.ndarray, number: int) -> np.ndarray:
        encoder = self.model.encoder
        if isinstance(sound, np.ndarray):
            name, wave = f"waveform {number}", _checked(sound, number)
        else:
            name, wave = str(sound), audio.load(Path(sound), encoder.sample_rate)
        seconds = len(wave) / encoder.sample_rate
        if encoder.max_seconds and seconds > encoder.max_seconds:
            longest = f"the encoder takes {encoder.max_seconds:g} s"
            msg = f"{name} lasts {seconds:.1f} s and {longest}; cut it into shorter files"
            raise DataError(msg)
        return wave


def _checked(wave: np.ndarray, number: int) -> np.ndarray:
    if (
        wave.ndim != 1
        or not len(wave)
        or not np.issubdtype(wave.dtype, np.floating)
        or not np.isfinite(wave).all()
    ):
        msg = (
            f"waveform {number} is {wave.dtype} of shape {wave.shape}; give one channel of finite floats, "
            "full scale at ±1, at the encoder's sample rate"
        )
        raise DataError(msg)
    return wave.astype(np.float32, copy=False)


def load(source: str | Path, device: str = "auto") -> Transcriber:
    """Return the trained model of a run or adapter folder, or of `hub:OWNER/NAME`, with what is installed."""
    return Transcriber(source, load_registry(), device)
