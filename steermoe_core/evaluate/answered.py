"""Batches that were answered already, on disk: an evaluation that was killed goes on where it was.

    .<split>.answers/<rank>.jsonl   a first line that says what the answers belong to, then a line a batch

Each process writes its own file and reads all of them, so another number of processes may go on.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.model.generate import Answer
from steermoe_core.system.files import saving
from steermoe_core.system.records import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Answered:
    """What was answered so far, by the name of the batch.

    :param folder: where it is kept; None keeps nothing.
    :param key: of all that the answers depend on; those kept under another one are not used.
    :param rank: number of this process.
    """

    def __init__(self, folder: Path | None = None, key: str = "", rank: int = 0) -> None:
        self.folder = folder
        self.found: dict[str, list[Answer]] = {}
        self._file = None if folder is None else folder / f"{rank}.jsonl"
        if folder is None or self._file is None:
            return
        for path in sorted(folder.glob("*.jsonl")):
            self.found |= dict(_read(path, key))
        with saving(folder):
            folder.mkdir(parents=True, exist_ok=True)
            own = dict(_read(self._file, key))  # what a kill cut off in the middle of a line is dropped
            fresh = self._file.with_suffix(".partial")
            fresh.write_text(f"{_head(key)}\n" + "".join(map(_line, own, own.values())), encoding="utf-8")
            fresh.replace(self._file)

    def get(self, batch: str) -> list[Answer] | None:
        """Return the answers to a batch, if it was answered."""
        return self.found.get(batch)

    def put(self, batch: str, answers: Sequence[Answer]) -> None:
        """Keep the answers to a batch, also through a kill.

        :raises CheckpointError: the disk is full or not writable.
        """
        if self._file is not None:
            with saving(self._file), self._file.open("a", encoding="utf-8") as file:
                file.write(_line(batch, answers))

    def forget(self) -> None:
        """Delete what was kept: the evaluation is complete."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@attrs.frozen
class _Line:
    """The answers to a batch: token ids and why generation stopped."""

    batch: str
    answers: list[list[Any]]


def _head(key: str) -> str:
    return json.dumps({"key": key})


def _line(batch: str, answers: Sequence[Answer]) -> str:
    return json.dumps({"batch": batch, "answers": [[one.ids, one.stop] for one in answers]}) + "\n"


def _read(path: Path, key: str) -> Iterator[tuple[str, list[Answer]]]:
    """Yield the batches of a file with this key, up to the first line that is not whole."""
    if not path.is_file():
        return
    head, *lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if head != _head(key):
        return
    for line in lines[:-1]:  # behind the last line break there is nothing, or a line that was cut
        try:
            row = parsed(line, _Line)
            answers = [Answer(ids, stop) for ids, stop in row.answers]
        except ValueError:  # cut short, or changed: it is answered again
            return
        yield row.batch, answers
