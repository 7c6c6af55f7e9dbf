"""The console of rich that commands print with: text is text, not markup, and never moves the cursor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from steermoe_core.system.printing import UNSAFE, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment


class Terminal(Console):
    """A console; plain text where it is piped, and in the cells of a notebook.

    :param stderr: whether it writes to stderr; a notebook, which shows that as an error, gets it on stdout.
    :param quiet: whether it writes nothing.
    :ivar notebook: whether the output is shown in the cells of a notebook.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False)
        self.notebook = self.is_jupyter
        if self.notebook:
            self.is_jupyter, self.stderr = False, False  # rich would write a block of HTML for each line
            self._color_system = None

    @property
    def live(self) -> bool:
        """Whether lines can be drawn again: not in a log, nor where a CI service keeps what is written."""
        return (
            self.is_terminal
            and not self.is_dumb_terminal
            and getattr(self.file, "isatty", bool)()
            and os.environ.get("CI", "").lower() in ("", "0", "false")
        )

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of anything, its text cleaned before it is laid out."""
        return super().render(_clean(renderable) if isinstance(renderable, Text) else renderable, options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text that is cleaned before rich drops some of its control characters."""
        return super().render_str(visible(text), **options)

    def on_broken_pipe(self) -> None:
        """Raise what `main` understands: rich would end the program with exit code 1."""
        raise BrokenPipeError


def _clean(text: Text) -> Text:
    """Return a text with its unsafe characters as escapes, in their own style."""
    unsafe = [place for place, character in enumerate(text.plain) if character in UNSAFE]
    if not unsafe:
        return text
    whole = text.blank_copy()
    for piece in text.divide(sorted({*unsafe, *(place + 1 for place in unsafe)})):
        piece.plain = visible(piece.plain)
        whole.append_text(piece)
    return whole
