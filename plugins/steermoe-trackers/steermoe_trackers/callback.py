"""The callback of every tracker: passes the events of a run to the tracker's thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from steermoe_core import Callback
from steermoe_trackers.mirror import Mirror
from steermoe_trackers.outbox import Outbox

if TYPE_CHECKING:
    from steermoe_core import Scores, Step
    from steermoe_trackers.config import TrackerConfig
    from steermoe_trackers.tracker import Tracker


class Tracking(Callback):
    """Sends a run to a tracker. Of several processes, only the first one does.

    A folder without experiment.toml, such as that of the conformance kit, is no run and is not sent.

    :param name: of the tracker.
    """

    def __init__(self, name: str, tracker: Tracker, config: TrackerConfig) -> None:
        self.name = name
        self.tracker = tracker
        self.config = config
        self._outbox: Outbox | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Open the run before its first step."""
        if state.is_world_process_zero:
            self._open()

    def on_record(self, record: Step) -> None:  # noqa: ARG002 - the lines of other callbacks count, too
        """Send the steps that are complete."""
        if outbox := self._open():
            outbox.put(self._mirror.follow)

    def on_scores(self, split: str, scores: Scores) -> None:
        """Send scores and clips of a split."""
        if outbox := self._open():
            outbox.put(partial(self._mirror.scores, split, scores, self.examples))

    def on_run_end(self, error: BaseException | None) -> None:
        """Send what is left and close the run, in a limited time."""
        if outbox := self._open():
            outbox.finish(partial(self._mirror.end, error))
        self._outbox = None

    def _open(self) -> Outbox | None:
        """Return the queue of a tracker that was told to open the run; None outside a run folder."""
        folder = self.journal.folder
        if self._outbox is None and (folder / "experiment.toml").is_file():
            self._mirror = Mirror(self.name, self.tracker, folder, self.config.clips)
            self._outbox = Outbox(self.name, self.config.timeout)
            self._outbox.wait(self._mirror.start)
        return self._outbox
