"""Which key of a manifest's lines means what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.data.sources.rows import Columns, column, missing

if TYPE_CHECKING:
    from collections.abc import Collection

    from steermoe_core.data.config import JsonlConfig

#: Keys that are recognised unless the experiment names others.
STANDARD = {
    "prompt": ("prompt",),
    "cluster": ("cluster", "speaker"),
    "id": ("id",),
    "seconds": ("seconds", "duration"),
    "references": ("references",),
    "split": ("split",),
    "labels": ("labels",),
}
AUDIO = ("audio", "audio_filepath")
_DEFAULT_OFFSET = "offset"


@attrs.frozen
class Keys:
    """The keys of a manifest; "" where there is none."""

    columns: Columns
    audio: str
    offset: str

    @classmethod
    def of(cls, config: JsonlConfig, present: Collection[str]) -> Keys:
        """Return the keys that the settings name, or where they name none, the standard ones.

        :param present: the keys of all lines.
        :raises DataError: a key is missing.
        """
        where = str(config.path)
        columns = Columns.of(config, present, where, STANDARD)
        audio = column(config.audio_column, AUDIO, present, where)
        if not audio:
            raise missing(where, AUDIO, present)
        default = config.offset_column == _DEFAULT_OFFSET
        offset = column("" if default else config.offset_column, (_DEFAULT_OFFSET,), present, where)
        return cls(columns, audio, offset)
