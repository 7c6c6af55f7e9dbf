"""The progress of several runs, for people: a live table on a terminal, else a line at each change."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.table import Cell, Column, Table, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.run.console import Console
    from steermoe_core.study.jobs import Job, JobStatus

_COLOURS = {"running": "cyan", "finished": "green", "failed": "red", "interrupted": "yellow"}


class Progress:
    """The last known states of jobs."""

    def __init__(self, title: str, jobs: Sequence[Job], console: Console) -> None:
        self._title, self._jobs, self._console = title, jobs, console
        self._statuses = [job.status for job in jobs]

    @property
    def statuses(self) -> list[JobStatus]:
        """Status of each job, read now unless the job is finished."""
        pairs = zip(self._jobs, self._statuses, strict=True)
        self._statuses = [last if last.state == "finished" else job.status for job, last in pairs]
        return self._statuses

    @contextmanager
    def shown(self) -> Iterator[Callable[[], None]]:
        """Show the jobs inside the block; yield the function that shows them again."""
        if not self._console.rich.live:
            yield self._lines()
            return
        from rich.live import Live

        with Live(self.table(), console=self._console.rich, auto_refresh=False) as live:
            yield lambda: live.update(self.table(), refresh=True)

    def table(self) -> Table:
        """Return the table of all jobs."""
        statuses = self.statuses
        finished = sum(one.state == "finished" for one in statuses)
        return Table(
            title=f"{self._title}: {finished} of {len(statuses)} finished",
            columns=[
                *words("run", "state"),
                *(Column(name, "right") for name in ("step", "loss")),
                *words("score"),
            ],
            rows=[
                [
                    one.name,
                    Cell(one.state, _COLOURS.get(one.state, "")),
                    step(one),
                    "–" if one.loss is None else f"{one.loss:.3f}",
                    result(one),
                ]
                for one in statuses
            ],
        )

    def _lines(self) -> Callable[[], None]:
        """Return a function that prints the jobs whose state has changed since its last call."""
        before = [one.state for one in self._statuses]

        def print_changes() -> None:
            for number, one in enumerate(self.statuses):
                if one.state != before[number]:
                    before[number] = one.state
                    text = f"{number + 1} of {len(before)}, {one.name}: {one.state}"
                    self._console.note(f"{text}, {result(one)}" if result(one) else text)

        return print_changes


def step(status: JobStatus) -> str:
    """Return the number of steps taken and to take."""
    return f"{status.step}/{status.of}" if status.of else "–"


def result(status: JobStatus) -> str:
    """Return the first score of each split, or the error."""
    if status.error:
        return str(status.error)
    firsts = ((split, *next(iter(scores.items()))) for split, scores in status.scores.items() if scores)
    return ", ".join(
        f"{metric} {value:.3f} on {split}" for split, metric, value in firsts if value is not None
    )
