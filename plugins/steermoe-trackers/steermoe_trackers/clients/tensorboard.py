"""Event files, written by the `SummaryWriter` of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_trackers.callback import Tracking
from steermoe_trackers.content import RATE
from steermoe_trackers.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_trackers.config import TensorBoardConfig
    from steermoe_trackers.content import Clip, Figures, Run
    from steermoe_trackers.tracker import State


class TensorBoard(Tracker):
    """Writes to the folder `tensorboard` of the run."""

    def start(self, run: Run, state: State) -> State:
        """Open a new event file; it voids events of later steps in older ones."""
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / "tensorboard"
        self._writer = SummaryWriter(str(folder), purge_step=state.step + 1 if state.id else None)
        return attrs.evolve(state, id=folder.name)

    def log(self, figures: Figures) -> None:
        """Write scalars."""
        for name, value in figures.values.items():
            self._writer.add_scalar(name, value, figures.step)
        self._writer.flush()

    def clips(self, split: str, clips: Sequence[Clip], step: int) -> None:
        """Write audio and a table in Markdown."""
        for number, clip in enumerate(clips):
            if clip.waveform is not None:
                self._writer.add_audio(f"clips/{split}/{number}", clip.waveform, step, RATE)
        heads = list(clips[0].row)
        rows = [heads, ["---"] * len(heads), *(map(_cell, clip.row.values()) for clip in clips)]
        self._writer.add_text(f"clips/{split}", "\n".join(f"| {' | '.join(row)} |" for row in rows), step)

    def files(self, paths: Sequence[Path]) -> None:
        """Write each as a text."""
        for path in paths:
            lines = path.read_text(encoding="utf-8").splitlines()
            self._writer.add_text(f"files/{path.name}", "\n".join(f"    {line}" for line in lines))

    def close(self, error: BaseException | None) -> None:  # noqa: ARG002 - event files have no state
        """Close the event file."""
        self._writer.close()


class TensorBoardCallback(Tracking):
    """The callback `tensorboard`."""

    def __init__(self, config: TensorBoardConfig) -> None:
        super().__init__("tensorboard", TensorBoard(), config)


def _cell(value: object) -> str:
    return str(value).replace("|", r"\|").replace("\n", " ")
