"""The experiment engine that joins a frozen audio encoder to a frozen language model.

What stands in ``__all__`` is what plugins and scripts may rely on (docs/explanation/api-stability.md).
Names are imported on first use, so that ``steermoe --version`` costs no more than Python's own start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steermoe_core.cli.shared.session import Session
    from steermoe_core.component import Command, Component, Figure, Selection, choose
    from steermoe_core.data.audio.stored import EncodedAudio, StoredAudio
    from steermoe_core.data.audio.waveform import durations, read_audio, resample
    from steermoe_core.data.augmentation import Augmentation
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.collators import AsrCollator
    from steermoe_core.data.config import AsrConfig
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.data.padded import Padded
    from steermoe_core.data.token_limit import Room
    from steermoe_core.errors import (
        ConfigError,
        DataError,
        PluginError,
        SetupError,
        SteermoeError,
        UsageError,
    )
    from steermoe_core.evaluate.metrics import CorpusMetric, Metric
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.score import score
    from steermoe_core.evaluate.scores import Edits, Scores
    from steermoe_core.hookspecs import hookimpl
    from steermoe_core.model.adapter import Adapter
    from steermoe_core.model.config import CausalLMConfig, PoolConfig
    from steermoe_core.model.decoder import CausalLM, Decoder
    from steermoe_core.model.encoder import Encoder, Tap, Tower, untouched
    from steermoe_core.model.nbest import Proposal
    from steermoe_core.model.packing import Packing
    from steermoe_core.model.pooling import pool, pooled_length, pooled_width
    from steermoe_core.model.projectors import Projector
    from steermoe_core.model.routers import Router, UtteranceRouter
    from steermoe_core.model.weights import prepared, pretrained
    from steermoe_core.run import run
    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.scripting.experiment import Experiment
    from steermoe_core.study.launcher import Launcher, Workers
    from steermoe_core.system.cache import cache_folder
    from steermoe_core.train.callbacks import Callback
    from steermoe_core.train.journal import Step
    from steermoe_core.use.card import distributions
    from steermoe_core.use.transcriber import Transcriber, load
    from steermoe_core.use.transcript import Segment, Transcript, Word

__all__ = [
    "Adapter",
    "AsrCollator",
    "AsrConfig",
    "Augmentation",
    "Batch",
    "Callback",
    "CausalLM",
    "CausalLMConfig",
    "Collator",
    "Command",
    "Component",
    "ConfigError",
    "CorpusMetric",
    "DataError",
    "Decoder",
    "Edits",
    "EncodedAudio",
    "Encoder",
    "Example",
    "Experiment",
    "Figure",
    "FinishedRun",
    "Launcher",
    "Metric",
    "Packing",
    "Padded",
    "PluginError",
    "PoolConfig",
    "Prediction",
    "Projector",
    "Proposal",
    "Room",
    "Router",
    "Scores",
    "Segment",
    "Selection",
    "Session",
    "SetupError",
    "SteermoeError",
    "Step",
    "StoredAudio",
    "Tap",
    "Tower",
    "Transcriber",
    "Transcript",
    "UsageError",
    "UtteranceRouter",
    "Word",
    "Workers",
    "cache_folder",
    "choose",
    "distributions",
    "durations",
    "hookimpl",
    "load",
    "pool",
    "pooled_length",
    "pooled_width",
    "prepared",
    "pretrained",
    "read_audio",
    "resample",
    "run",
    "score",
    "untouched",
]

#: The public names of each module.
_NAMES = {
    "cli.shared.session": ("Session",),
    "component": ("Command", "Component", "Figure", "Selection", "choose"),
    "data.audio.stored": ("EncodedAudio", "StoredAudio"),
    "data.audio.waveform": ("durations", "read_audio", "resample"),
    "data.augmentation": ("Augmentation",),
    "system.cache": ("cache_folder",),
    "study.launcher": ("Launcher", "Workers"),
    "data.collator": ("Collator",),
    "data.collators": ("AsrCollator",),
    "data.config": ("AsrConfig",),
    "data.example": ("Example",),
    "data.layout": ("Batch",),
    "data.padded": ("Padded",),
    "data.token_limit": ("Room",),
    "errors": ("ConfigError", "DataError", "PluginError", "SetupError", "SteermoeError", "UsageError"),
    "evaluate.metrics": ("CorpusMetric", "Metric"),
    "evaluate.scores": ("Edits", "Scores"),
    "evaluate.prediction": ("Prediction",),
    "evaluate.score": ("score",),
    "hookspecs": ("hookimpl",),
    "model.adapter": ("Adapter",),
    "model.config": ("CausalLMConfig", "PoolConfig"),
    "model.decoder": ("CausalLM", "Decoder"),
    "model.encoder": ("Encoder", "Tap", "Tower", "untouched"),
    "model.packing": ("Packing",),
    "model.pooling": ("pool", "pooled_length", "pooled_width"),
    "model.nbest": ("Proposal",),
    "model.projectors": ("Projector",),
    "model.routers": ("Router", "UtteranceRouter"),
    "model.weights": ("prepared", "pretrained"),
    "run": ("run",),
    "run.folder.finished": ("FinishedRun",),
    "scripting.experiment": ("Experiment",),
    "use.card": ("distributions",),
    "use.transcriber": ("Transcriber", "load"),
    "use.transcript": ("Segment", "Transcript", "Word"),
    "train.callbacks": ("Callback",),
    "train.journal": ("Step",),
}
#: Where each public name lives.
_HOMES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    module = import_module(_HOMES[name])
    is_home = module.__name__ == f"{__name__}.{name}"  # the package `run` is that function too
    value = globals()[name] = module if is_home else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
