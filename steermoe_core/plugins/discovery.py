"""What is installed in the entry-point group `steermoe`, found without importing any of it.

A distribution that appears twice on `sys.path` (an editable install beside its source folder, a copy
in another site folder) counts once: as the copy that Python itself would take. A distribution whose
metadata cannot be read is reported, never raised.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from urllib.parse import unquote, urlsplit

import attrs

GROUP = "steermoe"


@attrs.frozen
class Entry:
    """One entry point of the group.

    :param name: the entry point's name, which is the plugin's name.
    :param value: ``"module"`` or ``"module:object"``; empty when `fault` is set.
    :param distribution: name of the distribution that brings it.
    :param version: version of the distribution.
    :param location: folder that the distribution was installed to, or the source of an editable install.
    :param editable: whether it is an editable install.
    :param fault: why the distribution's list of entry points cannot be read.
    """

    name: str
    value: str
    distribution: str
    version: str
    location: str | None
    editable: bool = False
    fault: str | None = None

    @property
    def origin(self) -> str:
        """Distribution and version, as shown to people."""
        return f"{self.distribution} {self.version}"

    def answers_to(self, name: str) -> bool:
        """Tell whether `name` is the entry point's or the distribution's name, however it is spelt."""
        return normal(name) in (normal(self.name), normal(self.distribution))


def normal(name: str) -> str:
    """Return a distribution or plugin name in the one spelling that all its spellings share."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> list[Entry]:
    """Return every entry point of the group, sorted by name and distribution."""
    seen: set[str] = set()
    entries: list[Entry] = []
    for found in distributions():
        text = _text(found)
        if text is None:
            continue
        name = _field(found, "Name")
        if normal(name) in seen or _shadowed(found, name):
            continue
        seen.add(normal(name))
        entries += _entries(found, name)
    return sorted(entries, key=lambda entry: (entry.name, normal(entry.distribution)))


def _text(found: Distribution) -> str | None:
    """Return the file of entry points if it has our group; most distributions end here, unparsed."""
    try:
        text = found.read_text("entry_points.txt")
    except (OSError, UnicodeDecodeError):
        return None
    return text if text and re.search(rf"^\s*\[\s*{GROUP}\s*\]", text, re.MULTILINE) else None


def _entries(found: Distribution, name: str) -> list[Entry]:
    version, (location, editable) = _field(found, "Version"), _location(found)
    try:
        points = [point for point in found.entry_points if point.group == GROUP]
    except Exception:  # noqa: BLE001 - each Python version has its own exception for a bad file
        fault = "its entry_points.txt cannot be read"
        return [Entry(name.removeprefix("steermoe-"), "", name, version, location, editable, fault)]
    return [Entry(point.name, point.value, name, version, location, editable) for point in points]


def _field(found: Distribution, key: str) -> str:
    try:
        return str(found.metadata[key] or "unknown")
    except Exception:  # noqa: BLE001 - no METADATA, or not readable: again one exception a Python version
        return "unknown"


def _shadowed(found: Distribution, name: str) -> bool:
    """Tell whether an earlier folder of `sys.path` has another copy of this distribution."""
    try:
        first = distribution(name)
    except (PackageNotFoundError, ValueError):
        return False
    return first.locate_file("") != found.locate_file("")


def _location(found: Distribution) -> tuple[str, bool]:
    """Return the folder that a distribution's code is in, and whether it is an editable install's."""
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except (OSError, ValueError):
        origin = {}
    if isinstance(origin, dict) and origin.get("dir_info", {}).get("editable"):
        return unquote(urlsplit(origin["url"]).path), True
    return str(found.locate_file("")), False
