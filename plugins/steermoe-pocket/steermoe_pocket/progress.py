"""One line on the terminal while something takes longer than a moment."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def working(label: str) -> Iterator[None]:
    """Show `label` with a spinner on stderr; a line of text where stderr is not a terminal."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        console.print(f"{label} …", highlight=False)
        yield
        return
    with console.status(f"{label} …"):
        yield


@contextmanager
def counting(label: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr; yields a function that is told how much is done.

    :param total: when it is complete.
    :param unit: of `total`, for people.
    """
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        console.print(f"{label}: {total:.3g} {unit} …", highlight=False)
        yield lambda _done: None
        return
    columns = (TextColumn(label), BarColumn(), TextColumn("{task.completed:.2f} of {task.total:.2f} " + unit))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.update(task, completed=min(done, total))


@contextmanager
def hushed() -> Iterator[None]:
    """Keep the progress bars that libraries print on stderr off the terminal."""
    with redirect_stderr(io.StringIO()):
        yield
