"""MLflow, by `MlflowClient`."""

from __future__ import annotations

import logging
import re
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import soundfile

from steermoe_trackers.callback import Tracking
from steermoe_trackers.content import RATE
from steermoe_trackers.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_trackers.config import MlflowConfig
    from steermoe_trackers.content import Clip, Figures, Run
    from steermoe_trackers.tracker import State

#: Limits of a request: metrics or parameters in it, and characters of a parameter.
_BATCH, _LONGEST = 100, 500


class Mlflow(Tracker):
    """A run of an experiment of MLflow."""

    def __init__(self, config: MlflowConfig) -> None:
        self._config = config

    def start(self, run: Run, state: State) -> State:
        """Create the run with its parameters, or open it again."""
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._metric = Metric
        self._client = MlflowClient(self._config.uri)
        if state.id:
            self._id = state.id
            self._client.update_run(self._id, "RUNNING")
            return attrs.evolve(state, step=self._last_step())
        found = self._client.get_experiment_by_name(self._config.project)
        place = found.experiment_id if found else self._client.create_experiment(self._config.project)
        self._id = str(self._client.create_run(place, run_name=run.name).info.run_id)
        settings = iter([Param(_name(key), str(value)[:_LONGEST]) for key, value in run.settings.items()])
        while params := list(islice(settings, _BATCH)):
            self._client.log_batch(self._id, params=params)
        return attrs.evolve(state, id=self._id)

    def _last_step(self) -> int:
        names = self._client.get_run(self._id).data.metrics
        steps = (one.step for name in names for one in self._client.get_metric_history(self._id, name))
        return max(steps, default=-1)

    def log(self, figures: Figures) -> None:
        """Send the numbers."""
        now = int(time.time() * 1000)
        metrics = iter(
            [self._metric(_name(key), value, now, figures.step) for key, value in figures.values.items()]
        )
        while batch := list(islice(metrics, _BATCH)):
            self._client.log_batch(self._id, metrics=batch)

    def clips(self, split: str, clips: Sequence[Clip], step: int) -> None:  # noqa: ARG002 - files have none
        """Send a WAV file for each clip, and their texts as JSON."""
        folder = f"clips/{_name(split)}"
        with tempfile.TemporaryDirectory() as place:
            for number, clip in enumerate(clips):
                if clip.waveform is not None:
                    path = Path(place, f"{number}.wav")
                    soundfile.write(path, clip.waveform, RATE)
                    self._client.log_artifact(self._id, str(path), folder)
        self._client.log_dict(self._id, [clip.row for clip in clips], f"{folder}/clips.json")

    def files(self, paths: Sequence[Path]) -> None:
        """Send them as artifacts."""
        for path in paths:
            self._client.log_artifact(self._id, str(path))

    def close(self, error: BaseException | None) -> None:
        """Set the state of the run."""
        failed = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        self._client.set_terminated(self._id, "FINISHED" if error is None else failed)


class MlflowCallback(Tracking):
    """The callback `mlflow`."""

    def __init__(self, config: MlflowConfig) -> None:
        super().__init__("mlflow", Mlflow(config), config)


def _name(name: str) -> str:
    """Return a name that MLflow accepts: ``chrf++`` is ``chrf__``."""
    return re.sub(r"[^\w\-. /]", "_", name)
