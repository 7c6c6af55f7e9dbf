"""How runs go on, for people: a live table on a terminal, else a line whenever one begins or ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.table_formats import empty_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.run.console import Console
    from steermoe_core.study.jobs import Job

_COLOURS = {"running": "cyan", "finished": "green", "failed": "red", "interrupted": "yellow"}


class Progress:
    """What was last seen of some jobs.

    :param names: how each is called.
    """

    def __init__(self, title: str, jobs: Sequence[Job], names: Sequence[str], console: Console) -> None:
        self._title, self._jobs, self._names, self._console = title, jobs, names, console
        self._facts: list[dict[str, Any]] = [job.facts for job in jobs]

    @property
    def facts(self) -> list[dict[str, Any]]:
        """Facts of each job, looked up now unless it is at its end."""
        pairs = zip(self._jobs, self._facts, strict=True)
        self._facts = [old if old["state"] == "finished" else job.facts for job, old in pairs]
        return self._facts

    @contextmanager
    def shown(self) -> Iterator[Callable[[], None]]:
        """Show the jobs inside the block; give what shows them anew."""
        if not self._console.rich.is_terminal:
            yield self._lines()
            return
        from rich.live import Live

        with Live(self.grid(), console=self._console.rich, auto_refresh=False) as live:
            yield lambda: live.update(self.grid(), refresh=True)

    def grid(self) -> Any:
        """Return the table of all jobs."""
        from rich.text import Text

        facts = self.facts
        done = sum(one["state"] == "finished" for one in facts)
        table = empty_grid(f"{self._title}: {done} of {len(facts)} finished")
        for name, justify in (("run", "left"), ("state", "left"), ("step", "right"), ("loss", "right")):
            table.add_column(name, justify=justify, overflow="fold")
        table.add_column("score", overflow="fold")
        for name, one in zip(self._names, facts, strict=True):
            colour = _COLOURS.get(one["state"], "")
            cells = (name, step(one), loss(one), result(one))
            first, *others = map(Text, cells)
            table.add_row(first, Text(one["state"], style=colour), *others)
        return table

    def _lines(self) -> Callable[[], None]:
        """Return what says which jobs have another state than when it was last called."""
        before = [one["state"] for one in self._facts]

        def tell() -> None:
            for number, (name, one) in enumerate(zip(self._names, self.facts, strict=True)):
                if one["state"] != before[number]:
                    before[number] = one["state"]
                    text = f"{number + 1} of {len(before)}, {name}: {one['state']}"
                    self._console.note(f"{text}, {result(one)}" if result(one) else text)

        return tell


def step(facts: dict[str, Any]) -> str:
    """Return how many steps of how many were taken."""
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
