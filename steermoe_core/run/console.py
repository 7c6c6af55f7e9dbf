"""What a person sees during a run: notes, a message for each long step, progress bars; all on stderr.

Where stderr is no terminal, each long step is a plain line and progress is one now and then.
"""

from __future__ import annotations

import logging
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from steermoe_core.system.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A plain line of progress follows the last after so many seconds, or fewer if so large a share was done.
SECONDS, FEWER_SECONDS, SHARE = 30.0, 5.0, 0.1


class Console:
    """Notes and progress on stderr, so that results on stdout stay clean; quiet shows neither."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.rich = Terminal(stderr=True, quiet=quiet)

    def note(self, text: str) -> None:
        """Print one sentence."""
        self.rich.print(text, soft_wrap=True)

    @contextmanager
    def task(self, text: str) -> Iterator[None]:
        """Show a spinner while something of unknown length runs."""
        if not self.rich.is_terminal:
            self.note(text)
            yield
            return
        with self.rich.status(Text(text)):
            yield

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Give a progress bar with a note, a rate and the time left."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            Pace(),
        )
        bar = Progress(*columns, console=self.rich) if self.rich.is_terminal else PlainProgress(self.note)
        with bar as progress:
            yield progress

    @contextmanager
    def warnings(self) -> Iterator[None]:
        """Say warnings, also logged ones, as sentences, without the line of code that gave them."""
        log, logged = logging.getLogger("steermoe"), Logged(self)
        log.addHandler(logged)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_, **__: self.note(f"warning: {message}")
                yield
        finally:
            log.removeHandler(logged)


class Logged(logging.Handler):
    """Says what is logged as a warning or worse.

    :param console: where it is said.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        self.console.note(f"{record.levelname.lower()}: {record.getMessage()}")


class Pace(ProgressColumn):
    """A rate and the time left; the time taken when all is done."""

    def render(self, task: Task) -> Text:
        return Text(pace(task))


class PlainProgress(Progress):
    """Says a line now and then instead of drawing a bar.

    :param say: takes the lines.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(disable=True)
        self._say = say
        self._last: dict[TaskID, tuple[float, float]] = {}

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Note what was done, and say it if a line is due."""
        super().update(task_id, **changes)
        self._tell(self._tasks[task_id])

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Note that more was done, and say it if a line is due."""
        super().advance(task_id, advance)
        self._tell(self._tasks[task_id])

    def stop(self) -> None:
        """Say where every task ended."""
        for task in self.tasks:
            if task.completed:
                self._tell_now(task)

    def _tell(self, task: Task) -> None:
        now, share = time.monotonic(), task.completed / (task.total or 1)
        then, before = self._last.setdefault(task.id, (now, share))
        waited = now - then
        if not task.finished and (waited >= SECONDS or (waited >= FEWER_SECONDS and share - before >= SHARE)):
            self._last[task.id] = now, share
            self._tell_now(task)

    def _tell_now(self, task: Task) -> None:
        facts = [f"{task.completed:g} of {task.total:g}", task.fields.get("note"), pace(task)]
        self._say(f"{task.description}: {', '.join(fact for fact in facts if fact)}")


def pace(task: Task) -> str:
    """Return a task's rate and the time left, at its end the time it took; nothing until one can be told."""
    if task.finished:
        return f"in {_clock(task.finished_time)}"
    if not task.speed or task.time_remaining is None:
        return ""
    rate = f"{task.speed:.1f}/s" if task.speed >= 1.0 else f"{1 / task.speed:.1f} s each"
    return f"{rate}, {_clock(task.time_remaining)} left"


def _clock(seconds: float | None) -> str:
    minutes, rest = divmod(round(seconds or 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
