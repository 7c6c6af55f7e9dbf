"""What a person sees while a run goes on: notes, a word for each long step, progress bars; all on stderr."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Console:
    """Notes and progress on stderr, so that results on stdout stay clean; quiet shows neither."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.rich = RichConsole(stderr=True, quiet=quiet)

    def note(self, text: str) -> None:
        """Say one sentence."""
        self.rich.print(text, highlight=False, markup=False)

    @contextmanager
    def task(self, text: str) -> Iterator[None]:
        """Show a spinner while something of unknown length goes on."""
        with self.rich.status(text):
            yield

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Give a progress bar with a note, a rate and the time left."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.rich, transient=not self.rich.is_terminal) as progress:
            yield progress
