"""Numbers and facts as the page writes them."""

from __future__ import annotations

from typing import Any

_MINUTE, _HOUR = 60, 3600


def figure(value: float | None, places: int = 3) -> str:
    """Return a number with as many places as its neighbours; a dash for none."""
    return "–" if value is None else f"{value:.{places}f}"


def signed(value: float | None, places: int = 3) -> str:
    """Return a difference with its sign, a true minus."""
    if value is None:
        return "–"
    rounded = round(value, places) + 0.0  # no minus before a zero
    return f"{rounded:+.{places}f}".replace("-", "−")


def count(value: int | None) -> str:
    """Return a whole number in groups of three digits."""
    return "–" if value is None else f"{value:,}"


def several(number: int, one: str, more: str = "") -> str:
    """Return how many there are of something."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def percent(share: float | None, places: int = 0) -> str:
    """Return a share of one in percent."""
    return "–" if share is None else f"{100 * share:.{places}f} %"


def span(seconds: float | None) -> str:
    """Return a duration in the two units that matter."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def interval(found: dict[str, float] | None) -> str:
    """Return the ends of an interval."""
    return "" if found is None else f"{figure(found['low'])} – {figure(found['high'])}"


def signed_interval(found: dict[str, float] | None) -> str:
    """Return the ends of an interval of differences."""
    return "" if found is None else f"{signed(found['low'])} to {signed(found['high'])}"


def verdict(row: dict[str, Any], first: str) -> str:
    """Return in words how a run stands to the first one."""
    place = f"on {several(row['clips'], 'clip')} of {row['split']}"
    if row["verdict"] == "not distinguishable":
        return f"{row['run']} and {first} are not distinguishable {place}"
    return f"{row['run']} is {row['verdict']} than {first} {place}"


def value(found: Any) -> str:
    """Return a setting as a person writes it; a dash where a run has no such key."""
    if found is None:
        return "–"
    return str(found).lower() if isinstance(found, bool) else str(found)


FILTERS = {
    "figure": figure,
    "signed": signed,
    "count": count,
    "several": several,
    "percent": percent,
    "span": span,
    "interval": interval,
    "signed_interval": signed_interval,
    "verdict": verdict,
    "setting": value,
}
