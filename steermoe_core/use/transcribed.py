"""Which recordings a folder has complete transcripts of, so that an interrupted call can be repeated.

`.transcribed.jsonl` in the folder has a line for each: the output, its recording, and a digest of the model
and the options. A recording is transcribed again when any of these changed, or the output is gone.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from steermoe_core.run.folder.run_folder import write_text
from steermoe_core.system.files import saving

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.system.records import Json

NAME = ".transcribed.jsonl"
_INSTEAD = "choose another --output folder"
#: Files of an adapter folder that decide what the model writes.
_MODEL = ("experiment.toml", "adapter.json", "adapter.safetensors")


class Transcribed:
    """The complete transcripts of a folder.

    :param folder: where they are; it exists.
    :param adapter: folder of the model's adapter.
    :param options: everything else that decides what is written.
    """

    def __init__(self, folder: Path, adapter: Path, options: Json) -> None:
        self.folder = folder
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
        for name in _MODEL:
            digest.update((adapter / name).read_bytes())
        self._made_by = digest.hexdigest()[:16]
        self._lines = dict(self._read())

    def has(self, output: str, sound: Path | None) -> bool:
        """Return whether an output is that of a recording as it is now."""
        return (
            sound is not None
            and self._lines.get(output) == self._line(sound)
            and (self.folder / output).is_file()
        )

    def write(self, output: str, sound: Path | None, text: str) -> None:
        """Write an output, then note that it is complete.

        :param sound: its recording; None if that is no file that could be recognised again.
        :raises CheckpointError: the disk is full or not writable.
        """
        place = self.folder / output
        with saving(place, _INSTEAD):
            place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, text, _INSTEAD)
        if sound is not None:
            notes = self.folder / NAME
            line = json.dumps({"output": output, **self._line(sound)}, ensure_ascii=False)
            with saving(notes, _INSTEAD), notes.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    def _line(self, sound: Path) -> Json:
        """Return what a line says of a recording beside its output."""
        try:
            facts = sound.stat()
        except OSError:
            return {}
        return {
            "sound": sound.name,
            "bytes": facts.st_size,
            "changed": facts.st_mtime_ns,
            "by": self._made_by,
        }

    def _read(self) -> list[tuple[str, Json]]:
        notes = self.folder / NAME
        found = []
        for line in notes.read_text("utf-8").splitlines() if notes.is_file() else []:
            try:
                row = json.loads(line)
                found.append((row.pop("output"), row))
            except (ValueError, KeyError, AttributeError):  # cut off when the machine went down
                continue
        return found
