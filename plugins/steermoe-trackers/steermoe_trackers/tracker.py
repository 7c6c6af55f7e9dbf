"""What a tracker has to do: the part that differs between trackers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from steermoe_trackers.content import Clip, Figures, Run


def _tuple(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


@attrs.frozen
class State:
    """What the run folder keeps about the run's counterpart in a tracker.

    :param id: by which the tracker continues it; None before it exists.
    :param step: the last one whose figures it has; -1 before the first.
    :param splits: those whose scores it has.
    """

    id: str | None = None
    step: int = -1
    splits: tuple[str, ...] = attrs.field(default=(), converter=_tuple)


class Tracker(ABC):
    """A run in a tracker. Its methods are called in order in one thread, and may raise any error."""

    @abstractmethod
    def start(self, run: Run, state: State) -> State:
        """Open the run.

        :param state: what was sent; without an id the run is new.
        :returns: the state with the id, and with the last step that arrived. After a kill, it differs from
            the last step that was sent.
        """

    @abstractmethod
    def log(self, figures: Figures) -> None:
        """Send figures of a step; steps never decrease."""

    @abstractmethod
    def clips(self, split: str, clips: Sequence[Clip], step: int) -> None:
        """Send the worst clips of a split."""

    @abstractmethod
    def files(self, paths: Sequence[Path]) -> None:
        """Send files of the run folder; one may be sent again with other contents."""

    @abstractmethod
    def close(self, error: BaseException | None) -> None:
        """Close the run; `KeyboardInterrupt` means that it was interrupted."""
