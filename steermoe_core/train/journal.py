"""metrics.jsonl: one object a line, in the order of steps, without repeats after a resume."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import RunFolderError
from steermoe_core.system.files import saving
from steermoe_core.system.json_shapes import NUMBER, DamagedError, parsed
from steermoe_core.train import ranks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MEASURED = {"*": (None, *NUMBER)}
#: A line, as far as somebody reads it.
_RECORD = {
    "step": int, "loss?": NUMBER, "learning_rate?": _MEASURED, "gradient_norm?": _MEASURED,
    "seconds_per_step?": NUMBER, "validation?": _MEASURED, "steering?": [{"layer": (int, str)}],
}  # fmt: skip


class Journal:
    """Appends records to a file of JSON lines.

    :ivar aside: seconds that were spent beside training since a pace was last taken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.aside = 0.0

    def write(self, step: int, **values: Any) -> None:
        """Add a record that belongs to a step; of several processes, only rank 0 writes.

        :raises CheckpointError: the disk is full or not writable.
        """
        if not ranks.first():
            return
        with saving(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}, ensure_ascii=False) + "\n")

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the records; a last line that a kill cut short is left out.

        :raises RunFolderError: a line is none of a journal.
        """
        if self.path.is_dir():
            msg = f"{self.path} is a folder, where a run writes its steps; move it away"
            raise RunFolderError(msg)
        if not self.path.exists():
            return
        for number, line in enumerate(self.path.read_bytes().split(b"\n")[:-1], 1):
            try:
                yield parsed(line.decode(errors="replace"), _RECORD)
            except DamagedError as error:
                msg = f"{self.path}:{number} is not a record of a step ({error}); delete that line"
                raise RunFolderError(msg) from None

    def rewind(self, step: int) -> None:
        """Drop what was written after a step: it will be written again.

        :raises CheckpointError: the disk is full or not writable.
        """
        kept = [record for record in self.read() if record["step"] <= step]
        partial = self.path.with_suffix(".partial")
        with saving(self.path):
            try:
                text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept)
                partial.write_text(text, encoding="utf-8")
                partial.replace(self.path)
            finally:
                partial.unlink(missing_ok=True)
