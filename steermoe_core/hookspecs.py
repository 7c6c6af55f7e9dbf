"""The contract with plugins: one hook a kind, each yields `Component` records.

A factory is called with the component's own settings and with what stands behind the arrow's left side:

==========  ==========================================================  ==============================
kind        factory(config, …)                                          returns
==========  ==========================================================  ==============================
encoder     ()                                                          `model.encoder.Encoder`
adapter     (encoder: Encoder, build: Callable[[Selection, …], object])  `model.adapter.Adapter`
router      (width: int, experts: int, layers: int)                     `model.routers.Router`
projector   (width: int, decoder: Decoder)                              `model.projectors.Projector`
decoder     ()                                                          `model.decoder.Decoder`
dataset     ()                                                          `Sequence[data.example.Example]`
collator    (tokenizer, features: Callable, rate, seed, room: data.room.Room)  `data.collators.Collator`
metric      ()                                                          `evaluate.metrics.Metric`
callback    ()                                                          `train.callbacks.Callback`
weights     ()                                                          `Path` of a local model folder
==========  ==========================================================  ==============================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from steermoe_core.component import KINDS, Component

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "steermoe"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

#: The hook that yields the components of each kind.
HOOK_OF_KIND = {kind: "steermoe_weights" if kind == "weights" else f"steermoe_{kind}s" for kind in KINDS}

Components = Iterable[Component]


@hookspec
def steermoe_encoders() -> Components:
    """Yield frozen audio encoders: features, layers that can be tapped, the frame-count law."""


@hookspec
def steermoe_adapters() -> Components:
    """Yield what is trained inside or right after the frozen encoder."""


@hookspec
def steermoe_routers() -> Components:
    """Yield gates of a steering adapter: hidden (B,T,D) and layer → gates (B,T,E)."""


@hookspec
def steermoe_projectors() -> Components:
    """Yield maps from encoder frames (B,T,D) to audio tokens (B,A,H), with time pooling."""


@hookspec
def steermoe_decoders() -> Components:
    """Yield frozen causal language models with their tokenizers."""


@hookspec
def steermoe_datasets() -> Components:
    """Yield places where examples come from."""


@hookspec
def steermoe_collators() -> Components:
    """Yield layouts of a batch: prompt, audio slot, answer."""


@hookspec
def steermoe_metrics() -> Components:
    """Yield scores of predictions."""


@hookspec
def steermoe_callbacks() -> Components:
    """Yield watchers of a training run."""


@hookspec
def steermoe_weights() -> Components:
    """Yield named sets of pretrained weights that this machine can provide without a hub."""


@hookspec
def steermoe_before_run(folder: Path) -> None:
    """Act before the first step; `folder` is the run folder, its experiment.toml is written."""


@hookspec
def steermoe_after_run(folder: Path) -> None:
    """Act after the last score of a run that finished."""


@hookspec
def steermoe_run_failed(folder: Path, error: BaseException) -> None:
    """Act after a run failed or was interrupted."""
