"""Parts that do what must not hurt a run, or not go unnoticed: kill it, fill the disk, touch what is frozen.

Each of those that only certificates notice breaks one of them and leaves the others alone.
"""

from __future__ import annotations

import errno
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from steermoe_core.config.experiment import HIGHEST_RATE
from steermoe_core.data.padded import Padded
from steermoe_core.errors import DataError
from steermoe_core.model.adapter import Adapter
from steermoe_core.model.projectors import LinearProjector
from steermoe_core.testing.parts import TinyEncoder
from steermoe_core.train.callbacks import Callback
from tests.parts import QFormer


def kill(*_: Any, **__: Any) -> None:
    """End this process at once, as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


def full(*_: Any, **__: Any) -> None:
    """Say what a full disk says."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refuse_writes(event: str, args: tuple[Any, ...]) -> None:
    """Say what a read-only disk says, to every change of a file below `runs`; a hook of the interpreter."""
    changes = {"os.remove", "os.mkdir", "os.rename", "os.rmdir"}
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if (event in changes or writes) and "runs" in Path(os.fsdecode(args[0])).parts:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(args[0]))


class Act(Callback):
    """Does what RIG says, such as ``kill@5``, at the end of that step; nothing without it.

    With RIG_RANK, only the process of that rank does. What is trained at the highest rates that an experiment
    may have grows beyond all numbers, as it would at higher ones.
    """

    def __init__(self, config: object) -> None:
        name, _, step = os.environ.get("RIG", "").partition("@")
        self.step, self.action = int(step or -1), getattr(self, f"_{name}", None)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        for group in given["optimizer"].param_groups:
            for parameter in group["params"] if group["lr"] > HIGHEST_RATE / 2 else ():
                parameter.data.mul_(math.inf)
        rank = os.environ.get("RANK")
        if state.global_step == self.step and os.environ.get("RIG_RANK", rank) == rank:
            self.action()

    def _kill(self) -> None:
        kill()

    def _fail(self) -> None:
        msg = "clip 7 fell apart"
        raise DataError(msg)

    def _interrupt(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def _wait(self, *_: Any) -> None:
        Path("waiting").touch()
        while not Path("go").exists():
            time.sleep(0.02)

    def _wait_for_a_signal(self) -> None:
        Path("waiting").touch()
        stop = signal.getsignal(signal.SIGINT).__self__  # type: ignore[union-attr]
        while not stop.stopped:
            time.sleep(0.02)

    def _wait_while_scoring(self) -> None:
        from steermoe_core.evaluate.evaluation import Evaluator

        Evaluator._without_audio = self._wait

    def _wait_while_certifying(self) -> None:
        import steermoe_core.run.certify.certify as module

        module.model_proofs = self._wait

    def _kill_while_saving(self) -> None:
        torch.save = kill

    def _kill_while_scoring(self) -> None:
        from steermoe_core.evaluate.evaluation import Evaluator

        Evaluator._without_audio = kill

    def _kill_while_writing_scores(self) -> None:
        import steermoe_core.run.scoring.split as module

        module.write_json = kill

    def _read_only(self) -> None:
        sys.addaudithook(refuse_writes)

    def _fill_the_disk(self) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))


class Thief(Adapter):
    """Trains one number honestly, and writes to the frozen encoder while nobody looks."""

    def __init__(self, config: object, encoder: Any, build: Any) -> None:
        super().__init__()
        self.honest = torch.nn.Parameter(torch.zeros(encoder.width))
        self.loot = [encoder.first.weight]

    def after(self, frames: Any) -> Any:
        self.loot[0].data.mul_(1.001)
        return type(frames)(frames.values + self.honest, frames.lengths)

    def groups(self) -> dict[str, list[torch.nn.Parameter]]:
        return {"steering": [self.honest]}


class NightThief(Thief):
    """Steals while nothing is trained: after the look at the frozen weights that ends every training."""

    def after(self, frames: Any) -> Any:
        if not torch.is_grad_enabled():
            self.loot[0].data.mul_(1.0 + 1e-6)
        return type(frames)(frames.values + self.honest, frames.lengths)


class Crowd(TinyEncoder):
    """Lets each clip hear how loud its batch is, padding included."""

    loud = 1.0

    def forward(self, features: Padded, *tap: Any) -> Padded:
        frames = super().forward(features, *tap)
        return Padded(frames.values + self.loud * frames.values.mean(), frames.lengths)


class LeakyQFormer(QFormer):
    """Lets its queries look at padding."""

    def unseen(self, frames: Padded) -> torch.Tensor:
        return torch.zeros_like(frames.mask)


class Meddler(LinearProjector):
    """Puts something of its own before the language model's embeddings."""

    def __init__(self, config: Any, width: int, decoder: Any) -> None:
        super().__init__(config, width, decoder)
        embed = decoder.embed
        decoder.embed = lambda ids: embed(ids) * (1.0 + 1e-6)


class Numb(Callback):
    """Takes the routers' gradients away before every step."""

    changes_training = True

    def __init__(self, config: object) -> None:
        del config

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for parameter in self.joined.adapter.groups()["router"]:
            parameter.grad = torch.zeros_like(parameter)
