"""Notes, spinners and progress bars of a run, all on stderr.

Where lines cannot be drawn again, as in a file or a CI log, a spinner is one plain line, and progress is a
plain line from time to time. In a notebook, progress is one line that changes.
"""

from __future__ import annotations

import logging
import time
import warnings
from contextlib import contextmanager
from importlib import import_module
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

from steermoe_core.system.printing import visible
from steermoe_core.system.rows import rows_shown
from steermoe_core.system.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds between plain lines of progress; fewer if this share of the work was done since the last.
SECONDS, FEWER_SECONDS, SHARE = 30.0, 5.0, 0.1
#: Rows of a table between plain lines.
_ROWS = 100_000
#: Seconds between changes of a line of progress in a notebook.
CELL_SECONDS = 0.5


class Console:
    """Prints notes and progress on stderr, because stdout is for results; `quiet` prints nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.rich = Terminal(stderr=True, quiet=quiet)

    def note(self, text: str) -> None:
        """Print one line of text."""
        self.rich.print(text, soft_wrap=True)

    @contextmanager
    def task(self, text: str) -> Iterator[None]:
        """Show a spinner during a block of unknown length, with the rows of a table that is read in it."""
        if not self.rich.live:
            self.note(text)
            with rows_shown(self._noted(text)):
                yield
            return
        with (
            self.rich.status(Text(text)) as status,
            rows_shown(lambda rows: status.update(Text(f"{text}: {rows:,} rows"))),
        ):
            yield

    def _noted(self, text: str) -> Callable[[int], None]:
        """Return a function that notes how many rows were read, in steps of `_ROWS`."""
        noted = 0

        def note(rows: int) -> None:
            nonlocal noted
            if rows // _ROWS > noted // _ROWS:
                self.note(f"{text}: {rows:,} rows")
            noted = rows

        return note

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Yield a progress bar with a note, a rate and the remaining time."""
        with self._bar() as progress:
            yield progress

    def _bar(self) -> Progress:
        if self.rich.notebook and not self.rich.quiet:
            return CellProgress()
        if not self.rich.live:
            return PlainProgress(self.note)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            Pace(),
        )
        return Progress(*columns, console=self.rich)

    @contextmanager
    def warnings(self) -> Iterator[None]:
        """Print warnings, including logged ones, as notes without a line of code."""
        log, logged = logging.getLogger("steermoe"), Logged(self)
        log.addHandler(logged)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_, **__: self.note(f"warning: {message}")
                yield
        finally:
            log.removeHandler(logged)


class Logged(logging.Handler):
    """Prints log records of level WARNING and above as notes."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        self.console.note(f"{record.levelname.lower()}: {record.getMessage()}")


class Pace(ProgressColumn):
    """A rate and the remaining time; when finished, the elapsed time."""

    def render(self, task: Task) -> Text:
        return Text(pace(task))


class PlainProgress(Progress):
    """Prints a line from time to time instead of drawing a bar.

    :param write: takes the lines.
    """

    def __init__(self, write: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(disable=True)
        self._write = write
        self._last: dict[TaskID, tuple[float, float]] = {}

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Update a task, and print a line if one is due."""
        super().update(task_id, **changes)
        self._write_if_due(self._tasks[task_id])

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advance a task, and print a line if one is due."""
        super().advance(task_id, advance)
        self._write_if_due(self._tasks[task_id])

    def stop(self) -> None:
        """Print the last line of every task."""
        for task in self.tasks:
            if task.completed:
                self._write_line(task)

    def _write_if_due(self, task: Task) -> None:
        now, share = time.monotonic(), task.completed / (task.total or 1)
        last, share_then = self._last.setdefault(task.id, (now, share))
        if self._due(now - last, share - share_then) and not task.finished:
            self._last[task.id] = now, share
            self._write_line(task)

    def _due(self, seconds: float, share: float) -> bool:
        """Return whether a line is due so long, and this share of the work, after the last one."""
        return seconds >= SECONDS or (seconds >= FEWER_SECONDS and share >= SHARE)

    def _write_line(self, task: Task) -> None:
        self._write(line(task))


class CellProgress(PlainProgress):
    """Shows the lines of each task one in place of the other, in the output of a notebook's cell."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[TaskID, Any] = {}

    def _write_if_due(self, task: Task) -> None:
        if task.finished and task.total:
            self._write_line(task)  # it may start again with another total
        else:
            super()._write_if_due(task)

    def _due(self, seconds: float, share: float) -> bool:  # noqa: ARG002 - the time decides
        return seconds >= CELL_SECONDS

    def _write_line(self, task: Task) -> None:
        display: Any = import_module("IPython.display").display  # only notebooks have it
        text = {"text/plain": visible(line(task))}
        if task.id in self._shown:
            self._shown[task.id].update(text, raw=True)
        else:
            self._shown[task.id] = display(text, raw=True, display_id=True)


def line(task: Task) -> str:
    """Return the progress of a task as one line."""
    facts = [f"{task.completed:g} of {task.total:g}", task.fields.get("note"), pace(task)]
    return f"{task.description}: {', '.join(fact for fact in facts if fact)}"


def pace(task: Task) -> str:
    """Return a task's rate and remaining time, or elapsed time if finished; empty until there is a rate."""
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
