"""What is wrong with a value, before its place in a file is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.config.text.source import Part


@attrs.frozen
class Fault:
    """Something wrong at a key path.

    :param part: the part of the key to underline: its name, its value, or its text.
    """

    code: str
    message: str
    path: KeyPath
    part: Part = "value"
    hint: str = ""
    notes: tuple[str, ...] = ()


class InvalidError(Exception):
    """A value has faults. Raised only inside this package.

    :param done: the values of the keys without faults.
    """

    def __init__(self, faults: Iterable[Fault], done: Mapping[str, Any] | None = None) -> None:
        self.faults = list(faults)
        self.done = done or {}
        super().__init__(self.faults)
