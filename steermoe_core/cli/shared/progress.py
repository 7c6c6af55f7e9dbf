"""The progress of several runs: a live table on a terminal, else a line whenever a run changes its state."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.table import Cell, Column, Table, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.run.console import Console
    from steermoe_core.study.jobs import Job

_COLOURS = {"running": "cyan", "finished": "green", "failed": "red", "interrupted": "yellow"}


class Progress:
    """The state of some jobs as last read from their folders.

    :param names: the name that each is shown with.
    """

    def __init__(self, title: str, jobs: Sequence[Job], names: Sequence[str], console: Console) -> None:
        self._title, self._jobs, self._names, self._console = title, jobs, names, console
        self._facts: list[dict[str, Any]] = [job.facts for job in jobs]

    @property
    def facts(self) -> list[dict[str, Any]]:
        """Facts of each job, read again unless it is finished."""
        pairs = zip(self._jobs, self._facts, strict=True)
        self._facts = [old if old["state"] == "finished" else job.facts for job, old in pairs]
        return self._facts

    @contextmanager
    def shown(self) -> Iterator[Callable[[], None]]:
        """Show the jobs inside the block; give a function that updates what is shown."""
        if not self._console.rich.is_terminal:
            yield self._lines()
            return
        from rich.live import Live

        with Live(self.table(), console=self._console.rich, auto_refresh=False) as live:
            yield lambda: live.update(self.table(), refresh=True)

    def table(self) -> Table:
        """Return the table of all jobs."""
        facts = self.facts
        done = sum(one["state"] == "finished" for one in facts)
        return Table(
            title=f"{self._title}: {done} of {len(facts)} finished",
            columns=[
                *words("run", "state"),
                *(Column(name, "right") for name in ("step", "loss")),
                *words("score"),
            ],
            rows=[
                [name, Cell(one["state"], _COLOURS.get(one["state"], "")), step(one), loss(one), result(one)]
                for name, one in zip(self._names, facts, strict=True)
            ],
        )

    def _lines(self) -> Callable[[], None]:
        """Return a function that prints the jobs whose state has changed since its last call."""
        before = [one["state"] for one in self._facts]

        def update() -> None:
            for number, (name, one) in enumerate(zip(self._names, self.facts, strict=True)):
                if one["state"] != before[number]:
                    before[number] = one["state"]
                    text = f"{number + 1} of {len(before)}, {name}: {one['state']}"
                    self._console.note(f"{text}, {result(one)}" if result(one) else text)

        return update


def step(facts: dict[str, Any]) -> str:
    """Return the steps taken, of all."""
    if not facts["of"]:
        return "–"
    return f"{facts['step']}/{facts['of']}"


def loss(facts: dict[str, Any]) -> str:
    """Return the last loss."""
    return "–" if facts["loss"] is None else f"{facts['loss']:.3f}"


def result(facts: dict[str, Any]) -> str:
    """Return the first score of each split, or what went wrong."""
    if facts["error"]:
        return str(facts["error"])
    firsts = ((split, *next(iter(scores.items()))) for split, scores in facts["scores"].items() if scores)
    return ", ".join(
        f"{metric} {value:.3f} on {split}" for split, metric, value in firsts if value is not None
    )
