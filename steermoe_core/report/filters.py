"""The filters of the templates: numbers and facts as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steermoe_core.evaluate.scores import Interval

_MINUTE, _HOUR = 60, 3600


def figure(value: float | None, places: int = 3) -> str:
    """Return a number with a fixed number of decimal places; a dash for None."""
    return "–" if value is None else f"{value:.{places}f}"


def signed(value: float | None, places: int = 3) -> str:
    """Return a difference with its sign; a minus is the character for it, not a hyphen."""
    if value is None:
        return "–"
    rounded = round(value, places) + 0.0  # no minus before a zero
    return f"{rounded:+.{places}f}".replace("-", "−")


def count(value: int | None) -> str:
    """Return a whole number in groups of three digits."""
    return "–" if value is None else f"{value:,}"


def several(number: int, noun: str) -> str:
    """Return a number with its noun: `1 clip`, `2 clips`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(share: float | None, places: int = 0) -> str:
    """Return a share of one in percent."""
    return "–" if share is None else f"{100 * share:.{places}f} %"


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def interval(ends: Interval | None) -> str:
    """Return the ends of an interval."""
    return "" if ends is None else f"{figure(ends.low)} – {figure(ends.high)}"


def signed_interval(ends: Interval | None) -> str:
    """Return the ends of an interval of differences."""
    return "" if ends is None else f"{signed(ends.low)} to {signed(ends.high)}"


def setting(value: Any) -> str:
    """Return a setting as a person writes it; a dash if a run has no such key."""
    if value is None:
        return "–"
    return str(value).lower() if isinstance(value, bool) else str(value)


FILTERS = {
    function.__name__: function
    for function in (
        figure, signed, count, several, percent, span, interval, signed_interval, setting,
    )
}  # fmt: skip
