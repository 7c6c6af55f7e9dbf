"""Weights & Biases; its client sends from a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from steermoe_core import SetupError
from steermoe_trackers.callback import Tracking
from steermoe_trackers.clients.wandb_file import last_step
from steermoe_trackers.content import RATE
from steermoe_trackers.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_trackers.config import WandbConfig
    from steermoe_trackers.content import Clip, Figures, Run
    from steermoe_trackers.tracker import State


class Wandb(Tracker):
    """A run of a W&B project; offline, each start of the run is a folder, and all have the same id."""

    def __init__(self, config: WandbConfig) -> None:
        self._config = config

    def start(self, run: Run, state: State) -> State:
        """Open the run of this id.

        :raises SetupError: there are no credentials.
        """
        import wandb

        self._wandb = wandb
        online = not self._config.offline and os.environ.get("WANDB_MODE", "online") == "online"
        if online and not wandb.login(prompt=False, verify=False):
            msg = "there are no credentials; run `wandb login`, or set offline = true"
            raise SetupError(msg)
        self._run = wandb.init(
            project=self._config.project,
            entity=self._config.entity,
            name=run.name,
            id=state.id,
            resume="allow",
            mode="offline" if self._config.offline else None,
            dir=os.environ.get("WANDB_DIR", str(run.folder)),
            config=run.settings,
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
                x_transaction_log_flush_interval=1.0,  # seconds of scores that a kill can cost
            ),
        )
        return attrs.evolve(state, id=self._run.id, step=self._last_step(state))

    def _last_step(self, state: State) -> int:
        if self._run.offline:
            folders = Path(self._run.dir).parents[1].glob(f"offline-run-*-{self._run.id}")
            return max((last_step(folder / f"run-{self._run.id}.wandb") for folder in folders), default=-1)
        return self._run.step - 1 if self._run.resumed else state.step

    def log(self, figures: Figures) -> None:
        """Send the numbers."""
        self._log(dict(figures.values), figures.step)

    def clips(self, split: str, clips: Sequence[Clip], step: int) -> None:
        """Send a table with audio."""
        table = self._wandb.Table(columns=[*clips[0].row, "audio"])
        for clip in clips:
            audio = clip.waveform
            sound = None if audio is None else self._wandb.Audio(audio, sample_rate=RATE, caption=clip.id)
            table.add_data(*clip.row.values(), sound)
        self._log({f"clips/{split}": table}, step)

    def files(self, paths: Sequence[Path]) -> None:
        """Add a version to the run's artifact of each file."""
        for path in paths:
            artifact = self._wandb.Artifact(f"{self._run.id}-{path.name}", type="steermoe-run")
            artifact.add_file(str(path))
            self._run.log_artifact(artifact)

    def close(self, error: BaseException | None) -> None:
        """Wait until everything is sent."""
        self._run.finish(exit_code=0 if error is None else 1)

    def _log(self, values: dict[str, object], step: int) -> None:
        self._run.log(values, step=max(step, self._run.step), commit=True)  # it takes no step twice


class WandbCallback(Tracking):
    """The callback `wandb`."""

    def __init__(self, config: WandbConfig) -> None:
        super().__init__("wandb", Wandb(config), config)
