"""Trackio, local or on a Space; it sends in a thread of its own and keeps what it cannot send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_trackers.callback import Tracking
from steermoe_trackers.content import RATE
from steermoe_trackers.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_trackers.config import TrackioConfig
    from steermoe_trackers.content import Clip, Figures, Run
    from steermoe_trackers.tracker import State


class Trackio(Tracker):
    """A run of a Trackio project; it is resumed by its name, which the run folder makes unique."""

    def __init__(self, config: TrackioConfig) -> None:
        self._config = config

    def start(self, run: Run, state: State) -> State:
        """Open the run of this name; what its client had not stored before a kill is sent again."""
        import trackio

        self._trackio = trackio
        self._run = trackio.init(
            project=self._config.project,
            name=run.name,
            space_id=self._config.space,
            config=run.settings,
            resume="allow" if state.id else "never",
            embed=False,
        )
        last = self._run._next_step - 1  # noqa: SLF001 - it has no public name
        return attrs.evolve(state, id=self._run.name, step=last)

    def log(self, figures: Figures) -> None:
        """Send the numbers."""
        self._run.log(dict(figures.values), step=figures.step)

    def clips(self, split: str, clips: Sequence[Clip], step: int) -> None:
        """Send a table, and the audio with captions."""
        heads = list(clips[0].row)
        table = self._trackio.Table(columns=heads, data=[list(clip.row.values()) for clip in clips])
        audio = {
            f"clips/{split}/{number}": self._trackio.Audio(
                (clip.waveform.clip(-1.0, 1.0) * 32_767).astype("int16"),  # it would warn about floats
                caption=f"{clip.id}: {clip.reference} → {clip.hypothesis}",
                sample_rate=RATE,
            )
            for number, clip in enumerate(clips)
            if clip.waveform is not None
        }
        self._run.log({f"clips/{split}": table, **audio}, step=step)

    def files(self, paths: Sequence[Path]) -> None:
        """Add a version to the run's artifact of each file."""
        for path in paths:
            artifact = self._trackio.Artifact(f"{self._run.name}-{path.name}", type="steermoe-run")
            artifact.add_file(str(path))
            self._run.log_artifact(artifact)

    def close(self, error: BaseException | None) -> None:  # noqa: ARG002 - a Trackio run has no such state
        """Wait until everything is sent."""
        self._run.finish()


class TrackioCallback(Tracking):
    """The callback `trackio`."""

    def __init__(self, config: TrackioConfig) -> None:
        super().__init__("trackio", Trackio(config), config)
