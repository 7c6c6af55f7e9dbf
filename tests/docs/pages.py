"""The pages of the documentation, cut into blocks, and what their consoles should show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: A fence with a language and, where the block is a file, the file's path; fences are never indented here.
_BLOCK = re.compile(r"^```(\w*)[ ]?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    """Return the page's path inside the project."""
    return page.relative_to(ROOT).as_posix()


@attrs.frozen
class Block:
    """A fenced block.

    :param page: where it stands.
    :param line: of its opening fence.
    :param path: of the file that it is; empty if it is none.
    """

    page: Path
    line: int
    language: str
    path: str
    text: str

    @property
    def place(self) -> str:
        """Page and line, as an editor follows them."""
        return f"{name(self.page)}:{self.line}"


@attrs.frozen
class Command:
    """A line of a console, and what the page shows below it."""

    place: str
    words: str
    shown: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, *match.groups())


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block: lines with a dollar, each with the lines up to the next."""
    for words, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        yield Command(f"{block.place} `{words}`", words, shown)


def shows(shown: str, printed: str) -> bool:
    """Tell whether a program printed what a page shows.

    `…` stands for anything, alone on a line for any lines; so does a page that shows nothing. How many spaces
    there are is of no account.
    """
    lines = [".*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) for line in _lines(shown)]
    pattern = "\n".join(lines).replace("\n.*\n", "\n(?:.*\n)?")
    return not lines or re.fullmatch(pattern, "\n".join(_lines(printed)), re.DOTALL) is not None


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.strip().splitlines()]
