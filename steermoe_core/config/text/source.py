"""The sources of settings: experiment files, `--set` flags and Python values, with the place of each key."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from steermoe_core.config.naming import dotted
from steermoe_core.config.text.locate import KeyPath, Span, Spot, locate
from steermoe_core.config.text.problems import Problem

if TYPE_CHECKING:
    from pathlib import Path

#: What a problem underlines: the name of a key, its whole value, or a text without its quotes.
Part = Literal["key", "value", "text"]


@attrs.frozen(eq=False, slots=False)
class Source:
    """A text that sets keys.

    :param name: shown to the user: a path, or ``--set``.
    :param text: the text with line feeds as line ends.
    :param folder: where its relative paths start.
    :cvar WHOLE: what messages call the source.
    :cvar RELATIVE: where a relative path starts.
    """

    WHOLE: ClassVar[str] = "the file"
    RELATIVE: ClassVar[str] = "the path is relative to the file with `extends`"

    name: str
    text: str
    folder: Path

    @cached_property
    def spots(self) -> dict[KeyPath, Spot]:
        """The place of each key; scanned on first use."""
        return locate(self.text)

    def problem(self, code: str, message: str, path: KeyPath, part: Part = "value", **more: Any) -> Problem:
        """Return a problem that points at a key, or at the whole text if the key is not in it."""
        spot = self.spots.get(path)
        if spot is None:
            return Problem(code=code, message=message, path=path, file=self._shown_name(path), **more)
        return self.problem_at(code, message, self._span(spot, part), path=path, **more)

    def problem_at(self, code: str, message: str, span: Span, **more: Any) -> Problem:
        """Return a problem that points at a stretch of the text."""
        line, column = self.place(span.start)
        source = self.text.split("\n")[line - 1]
        width = max(1, min(span.end - span.start, len(source) - column + 1))
        return Problem(
            code=code, message=message, file=self._shown_name(more.get("path", ())), source=source,
            width=width, column=column, line=self._shown_line(line), **more,
        )  # fmt: skip

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a key, from 1."""
        spot = self.spots.get(path)
        return None if spot is None else self._shown_line(self.place(spot.key.start)[0])

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset, both from 1."""
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)

    def excerpt(self) -> Excerpt:
        """Return the same text as one whose keys are elsewhere."""
        return Excerpt(self.name, self.text, self.folder)

    def _shown_name(self, path: KeyPath) -> str:  # noqa: ARG002 - the line shows the key
        return self.name

    def _shown_line(self, line: int) -> int | None:
        return line

    def _span(self, spot: Spot, part: Part) -> Span:
        if part == "key":
            return spot.key
        start, end = spot.value.start, spot.value.end
        quoted = spot.value != spot.key and self.text[start] in "'\"" and end - start > len('""')
        return Span(start + 1, end - 1) if part == "text" and quoted else spot.value


@attrs.frozen(eq=False, slots=False)
class Excerpt(Source):
    """A part of a text that sets keys in other tables: a flag, or the axis of a sweep.

    :param known: places of the keys that it sets.
    """

    known: dict[KeyPath, Spot] = attrs.field(factory=dict)

    @cached_property
    def spots(self) -> dict[KeyPath, Spot]:
        """The place of each key in the text."""
        return self.known


@attrs.frozen(eq=False, slots=False)
class Flag(Excerpt):
    """One `--set` flag; its text is the flag as it was typed."""

    def excerpt(self) -> Flag:
        return Flag(self.name, self.text, self.folder)

    def _shown_line(self, line: int) -> None:  # noqa: ARG002 - a flag has no lines
        return None


@attrs.frozen(eq=False, slots=False)
class Given(Excerpt):
    """Settings from Python; the text is what TOML says for them, without lines that anybody wrote."""

    WHOLE = "the dict"
    RELATIVE = "the path is relative to `base`, which is the working directory by default"

    def excerpt(self) -> Given:
        return Given(self.name, self.text, self.folder)

    def _shown_name(self, path: KeyPath) -> str:
        return f"{self.name}, {dotted(path)}" if path else self.name

    def _shown_line(self, line: int) -> None:  # noqa: ARG002 - nobody wrote the text
        return None
