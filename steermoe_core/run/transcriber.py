"""Use a trained run: three lines from a file to a text.

    import steermoe_core
    model = steermoe_core.load("runs/whisper-layer-wise-1a2b3c4d")
    print(model.transcribe(["speech.wav"]))

What it needs is the folder and the frozen parts that its adapter was trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steermoe_core.config.resolve import resolve
from steermoe_core.data import audio
from steermoe_core.errors import DataError, UsageError
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.model.generate import generate
from steermoe_core.plugins import load_registry
from steermoe_core.run import adapter
from steermoe_core.run.build import Builder
from steermoe_core.run.execute import move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.plugins import Registry


class Transcriber:
    """A trained model that turns sound into text.

    :param folder: a run folder, or an adapter folder on its own.
    :raises UsageError: it is neither.
    :raises CheckpointError: the frozen parts on this machine are not those it was trained on.
    """

    def __init__(self, folder: Path, registry: Registry) -> None:
        folder = folder if (folder / "adapter.json").is_file() else folder / "adapter"
        if not (folder / "adapter.json").is_file():
            what = "it is neither a finished run folder nor an adapter folder"
            msg = f"{folder.parent} holds no trained adapter: {what}"
            raise UsageError(msg)
        self.experiment = resolve(folder / "experiment.toml", [], registry).experiment
        self.builder = Builder(self.experiment, registry)
        self.model = self.builder.model()
        adapter.load(folder, self.model, adapter.identity(self.model))
        move(self.model, self.experiment.train.device)
        self.collator = self.builder.collator(self.model)

    def transcribe(self, sounds: Sequence[str | Path | np.ndarray]) -> list[str]:
        """Return the text of each sound.

        :param sounds: paths of files in any format that libsndfile reads, or waveforms (float32, mono, at the
            encoder's sample rate).
        :raises DataError: a file cannot be read, or a clip is longer than the encoder takes.
        """
        waves = [self._wave(sound, number) for number, sound in enumerate(sounds, start=1)]
        texts: list[str] = []
        size = self.experiment.evaluate.batch_size
        for start in range(0, len(waves), size):
            texts += self._batch(waves[start : start + size])
        return texts

    def _batch(self, waves: list[np.ndarray]) -> list[str]:
        evaluator = Evaluator(self.model, self.collator, self.experiment.evaluate, metrics=[], seed=0)
        limits = [evaluator.limit(len(wave) / self.model.encoder.sample_rate) for wave in waves]
        batch = self.collator.prompt_batch(waves).to(next(self.model.parameters()).device)
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


def load(path: str | Path) -> Transcriber:
    """Return the trained model of a run or adapter folder, with the components of this installation."""
    return Transcriber(Path(path), load_registry())
