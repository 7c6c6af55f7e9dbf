"""Keeps a run in a tracker equal to the files of its folder, also where the run is killed and resumes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from steermoe_core import FinishedRun
from steermoe_trackers.content import Figures, MetricsFile, Run, score_figures, worst_clips
from steermoe_trackers.tracker import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core import Example, Scores
    from steermoe_trackers.tracker import Tracker


class Mirror:
    """Sends what is new in a run folder. Steps that a resumed run repeats are not sent again.

    :param name: of the tracker; the state is in ``trackers/<name>.json`` of the run folder.
    :param clips: that are sent of each split.
    """

    def __init__(self, name: str, tracker: Tracker, folder: Path, clips: int) -> None:
        self._tracker = tracker
        self._folder = folder
        self._clips = clips
        self._path = folder / "trackers" / f"{name}.json"
        self._metrics = MetricsFile(folder / "metrics.jsonl")
        self._state = State()

    def start(self) -> None:
        """Open the run in the tracker, or continue it, and send what describes it."""
        if self._path.exists():
            self._state = State(**json.loads(self._path.read_text(encoding="utf-8")))
        new = self._state.id is None
        self._keep(self._tracker.start(Run.of(self._folder), self._state))
        if new:
            self._send_files("experiment.toml", "lock.json")

    def follow(self, *, whole: bool = False) -> None:
        """Send the steps that are complete.

        :param whole: the last one is, too.
        """
        for figures in self._metrics.read(whole=whole):
            if figures.step > self._state.step:
                self._tracker.log(figures)
                self._keep(attrs.evolve(self._state, step=figures.step))

    def scores(self, split: str, scores: Scores, examples: Sequence[Example] = ()) -> None:
        """Send the scores and the worst clips of a split."""
        self.follow(whole=True)
        last = max(self._state.step, 0)
        self._tracker.log(Figures(last, score_figures(split, scores)))
        if self._clips and (clips := worst_clips(self._folder, split, examples, self._clips)):
            self._tracker.clips(split, clips, last)
        self._keep(attrs.evolve(self._state, splits=(*self._state.splits, split)))

    def end(self, error: BaseException | None) -> None:
        """Send what is left, and close the run in the tracker."""
        self.follow(whole=True)
        if error is None:
            for split, scores in FinishedRun(self._folder).scores.items():
                if split not in self._state.splits:  # a kill came before it was sent
                    self.scores(split, scores)
            self._send_files("lock.json", "certificates.json")
        self._tracker.close(error)

    def _send_files(self, *names: str) -> None:
        paths = [self._folder / name for name in names]
        self._tracker.files([path for path in paths if path.exists()])

    def _keep(self, state: State) -> None:
        self._state = state
        self._path.parent.mkdir(exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(attrs.asdict(state)), encoding="utf-8")
        partial.replace(self._path)
