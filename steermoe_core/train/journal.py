"""metrics.jsonl: one object a line, in the order of steps, without repeats after a resume."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import RunFolderError
from steermoe_core.evaluate.scores import LayerStatistics  # noqa: TC001 - read at run time
from steermoe_core.system.files import saving
from steermoe_core.system.records import DamagedError, parsed, plain, rest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@attrs.frozen(kw_only=True)
class Step:
    """A line of metrics.jsonl. What a line does not report is None.

    :param loss: mean over the answer tokens since the line before.
    :param losses: what adapter and projector add to it, by name.
    :param learning_rate: of each parameter group.
    :param gradient_norm: of each parameter group; None where it is not finite.
    :param validation: value of each metric; None where there was nothing to measure.
    :param steering: statistics of the gates.
    :param others: what plugins' callbacks report.
    """

    step: int
    loss: float | None = None
    losses: dict[str, float | None] | None = None
    learning_rate: dict[str, float | None] | None = None
    gradient_norm: dict[str, float | None] | None = None
    seconds_per_step: float | None = None
    validation: dict[str, float | None] | None = None
    steering: list[LayerStatistics] | None = None
    others: dict[str, Any] = rest()


class Journal:
    """Appends records to a file of JSON lines.

    :ivar aside: seconds that were spent beside training since a pace was last taken.
    :ivar watchers: called with each record that the engine reports.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.aside = 0.0
        self.watchers: list[Callable[[Step], None]] = []

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.path.parent

    def report(self, record: Step) -> None:
        """Add a record of the engine and pass it to the watchers; of several processes, only rank 0 does.

        :raises CheckpointError: the disk is full or not writable.
        """
        from steermoe_core.train import ranks

        self.write(**plain(record))
        if ranks.first():
            for watch in self.watchers:
                watch(record)

    def write(self, step: int, **values: Any) -> None:
        """Add a record that belongs to a step; of several processes, only rank 0 writes.

        :raises CheckpointError: the disk is full or not writable.
        """
        from steermoe_core.train import ranks

        if not ranks.first():
            return
        with saving(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}, ensure_ascii=False) + "\n")

    def read(self) -> Iterator[Step]:
        """Yield the lines; a last line that a kill cut short is left out.

        :raises RunFolderError: a line is damaged.
        """
        return (step for _, step in self._lines())

    def rewind(self, step: int) -> None:
        """Drop what was written after a step: it will be written again.

        :raises CheckpointError: the disk is full or not writable.
        """
        text = "".join(f"{line}\n" for line, record in self._lines() if record.step <= step)
        partial = self.path.with_suffix(".partial")
        with saving(self.path):
            try:
                partial.write_text(text, encoding="utf-8")
                partial.replace(self.path)
            finally:
                partial.unlink(missing_ok=True)

    def _lines(self) -> Iterator[tuple[str, Step]]:
        if self.path.is_dir():
            msg = f"{self.path} is a folder, where a run writes its steps; move it away"
            raise RunFolderError(msg)
        if not self.path.exists():
            return
        for number, line in enumerate(self.path.read_bytes().split(b"\n")[:-1], 1):
            text = line.decode(errors="replace")
            try:
                yield text, parsed(text, Step)
            except DamagedError as error:
                msg = f"{self.path}:{number} is not a record of a step ({error}); delete that line"
                raise RunFolderError(msg) from None
