"""A section of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.system.records import Json


@attrs.frozen(kw_only=True)
class Section:
    """What one template shows, and `--json` prints.

    :param content: values and records.
    :param missing: a sentence if the runs have nothing to show here.
    :param commands: that reproduce its figures.
    """

    content: Json
    missing: str | None = None
    commands: Sequence[str] = ()

    def to_json(self) -> Json:
        """Return its content, with what every section has."""
        return {**self.content, "missing": self.missing, "commands": self.commands}
