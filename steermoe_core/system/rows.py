"""How many rows of a table were read, for whoever shows it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_report: ContextVar[Callable[[int], None]] = ContextVar("report", default=lambda _: None)


@contextmanager
def rows_shown(report: Callable[[int], None]) -> Iterator[None]:
    """Report the rows that were read so far, from time to time, of each table that is read inside."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)


def rows_read(rows: int) -> None:
    """Report that so many rows were read so far."""
    _report.get()(rows)
