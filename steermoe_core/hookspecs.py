"""The contract with plugins: one hook a kind, each yields `Component` records; one yields commands.

A factory is called with the component's own settings, then with what its kind is given; the types are public
names of `steermoe_core`:

============  ==========================================================  ==============================
kind          factory(config, …)                                          returns
============  ==========================================================  ==============================
encoder       ()                                                          `Encoder`
adapter       (tower: Tower, build: Callable[[Selection, …], object])     `Adapter`
router        (width: int, experts: int, layers: int)                     `Router`
projector     (width: int, decoder: Decoder)                              `Projector`
decoder       ()                                                          `Decoder`
dataset       ()                                                          `Sequence[Example]`
augmentation  ()                                                          `Augmentation`
collator      (tokenizer: Any, features: Callable, rate: int, seed: int, room: Room)  `Collator`
metric        ()                                                          `Metric`
callback      ()                                                          `Callback`
launcher      ()                                                          `Launcher`
weights       ()                                                          `Path` of a local model folder
============  ==========================================================  ==============================

A factory of any kind whose settings choose parts (`choose`) is given ``build`` too, last: it builds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from steermoe_core.component import KINDS, Command, Component

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "steermoe"
hookspec = pluggy.HookspecMarker(PROJECT)
#: Marks a function of a plugin as the hook that has its name.
hookimpl = pluggy.HookimplMarker(PROJECT)

#: The hook that yields the components of each kind.
HOOK_OF_KIND = {kind: "steermoe_weights" if kind == "weights" else f"steermoe_{kind}s" for kind in KINDS}

#: The hook that yields commands.
COMMANDS = "steermoe_commands"

#: The hooks that yield what a plugin offers; the others are called when a run begins or ends.
YIELDING = frozenset({*HOOK_OF_KIND.values(), COMMANDS})

Components = Iterable[Component]
Commands = Iterable[Command]


@hookspec
def steermoe_encoders() -> Components:
    """Yield frozen audio encoders: features, layers that can be tapped, the frame-count law."""


@hookspec
def steermoe_adapters() -> Components:
    """Yield what is trained inside or right after the frozen encoder or decoder."""


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
def steermoe_augmentations() -> Components:
    """Yield random changes of training clips: of their waveforms or of their features."""


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
def steermoe_launchers() -> Components:
    """Yield places where the runs of a sweep or ladder are run, such as the queue of a cluster."""


@hookspec
def steermoe_weights() -> Components:
    """Yield named sets of pretrained weights that this machine can provide without a hub."""


@hookspec
def steermoe_commands() -> Commands:
    """Yield commands of the command line."""


@hookspec
def steermoe_before_run(folder: Path) -> None:
    """Act before the first step; `folder` is the run folder, its experiment.toml is written."""


@hookspec
def steermoe_after_run(folder: Path) -> None:
    """Act after the last score of a run that finished."""


@hookspec
def steermoe_run_failed(folder: Path, error: BaseException) -> None:
    """Act after a run failed or was interrupted."""
