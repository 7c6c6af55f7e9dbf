"""The recordings that a command line names: files, folders, patterns and stdin."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from steermoe_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STDIN = "-"


@attrs.frozen
class Named:
    """A recording of the command line.

    :param name: its path as the user wrote it, or below a folder that they wrote; `-` is stdin.
    :param place: where its results go, below the folder for results and without a suffix.
    """

    name: str
    place: Path

    @property
    def path(self) -> Path | None:
        """Its file; None for stdin."""
        return None if self.name == STDIN else Path(self.name)


def named(arguments: Sequence[str]) -> list[Named]:
    """Return the recordings that arguments name, in their order; those of a folder or pattern are sorted.

    :raises UsageError: a folder or a pattern holds none, or stdin is named twice.
    """
    if arguments.count(STDIN) > 1:
        msg = "stdin can be read once: give - once"
        raise UsageError(msg)
    return [one for argument in arguments for one in _named(argument)]


def _named(argument: str) -> Iterator[Named]:
    path = Path(argument)
    if argument == STDIN:
        yield Named(STDIN, Path("stdin"))
    elif path.is_dir():
        for below in _sounds(path, argument):
            yield Named(str(path / below), below.with_suffix(""))
    elif has_magic(argument) and not path.exists():
        for one in _matching(path, argument):
            yield Named(str(one), Path(one.stem))
    else:
        yield Named(argument, Path(path.stem))


def _sounds(folder: Path, argument: str) -> list[Path]:
    """Return the sound files of a folder and its subfolders, relative to it."""
    from steermoe_core.data.sources.folder import SUFFIXES

    files = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    found = sorted(path for path in files if not any(part.startswith(".") for part in path.parts))
    if not found:
        msg = f"the folder {argument} holds no sound files ({', '.join(sorted(SUFFIXES))})"
        raise UsageError(msg)
    return found


def _matching(path: Path, argument: str) -> list[Path]:
    """Return the files that a pattern matches, ** any folders."""
    found = sorted(one for one in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if one.is_file())
    if not found:
        msg = f"no file matches {argument}"
        raise UsageError(msg)
    return found
