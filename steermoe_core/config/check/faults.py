"""What is wrong with a value, before anybody asked where in a file it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.config.text.source import Part


@attrs.frozen
class Fault:
    """Something wrong at a key path; the place in a file is found later.

    :param part: what of the key is wrong: its name, its value, or its text.
    """

    code: str
    message: str
    path: KeyPath
    part: Part = "value"
    hint: str = ""
    notes: tuple[str, ...] = ()


class InvalidError(Exception):
    """A value has faults; raised inside this package only.

    :param done: the keys of a settings class that have none.
    """

    def __init__(self, faults: Iterable[Fault], done: Mapping[str, Any] | None = None) -> None:
        self.faults = list(faults)
        self.done = done or {}
        super().__init__(self.faults)
