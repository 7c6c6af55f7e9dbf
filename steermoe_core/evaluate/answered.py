"""Answers of finished batches on disk, so that a killed evaluation resumes.

    .<split>.answers/<rank>.jsonl   a first line with the key of the evaluation, then a line a batch

Each process writes its own file and reads all of them, so an evaluation may resume on another number of
processes.
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
    """The answers so far, by the name of the batch.

    :param folder: where they are kept; None keeps nothing.
    :param key: of everything that the answers depend on; answers under another key are ignored.
    :param rank: of this process.
    """

    def __init__(self, folder: Path | None = None, key: str = "", rank: int = 0) -> None:
        self.folder = folder
        self.batches: dict[str, list[Answer]] = {}
        self._file = None if folder is None else folder / f"{rank}.jsonl"
        if folder is None or self._file is None:
            return
        for path in sorted(folder.glob("*.jsonl")):
            self.batches |= dict(_read(path, key))
        with saving(folder):
            folder.mkdir(parents=True, exist_ok=True)
            own = dict(_read(self._file, key))  # drops a line that a kill cut off
            fresh = self._file.with_suffix(".partial")
            fresh.write_text(f"{_head(key)}\n" + "".join(map(_line, own, own.values())), encoding="utf-8")
            fresh.replace(self._file)

    def get(self, batch: str) -> list[Answer] | None:
        """Return the answers to a batch; None if it is not finished."""
        return self.batches.get(batch)

    def put(self, batch: str, answers: Sequence[Answer]) -> None:
        """Write the answers to a batch to disk.

        :raises CheckpointError: the disk is full or not writable.
        """
        if self._file is not None:
            with saving(self._file), self._file.open("a", encoding="utf-8") as file:
                file.write(_line(batch, answers))

    def forget(self) -> None:
        """Delete all answers: the evaluation is complete."""
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
    """Yield the batches of a file with this key, up to the first incomplete line."""
    if not path.is_file():
        return
    head, *lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if head != _head(key):
        return
    for line in lines[:-1]:  # after the last line break there is nothing, or an incomplete line
        try:
            row = parsed(line, _Line)
            answers = [Answer(ids, stop) for ids, stop in row.answers]
        except ValueError:  # incomplete or changed: the batch is answered again
            return
        yield row.batch, answers
