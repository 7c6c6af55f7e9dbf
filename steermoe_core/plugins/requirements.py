"""What an installed distribution requires and this environment does not have, read from metadata alone."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version
from shlex import quote
from typing import TYPE_CHECKING

import attrs

from steermoe_core.plugins.discovery import normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.requirements import Requirement


@attrs.frozen
class Unmet:
    """A requirement that is not met.

    :param package: name of the package.
    :param wanted: the requirement as pip takes it, such as ``torch>=2.6``.
    :param installed: the version that is there; None if there is none.
    :param extra: the extra that asks for it; None where the distribution always needs it.
    """

    package: str
    wanted: str
    installed: str | None
    extra: str | None = None

    @property
    def mend(self) -> str:
        """The command that brings it."""
        return f"pip install {quote(self.wanted)}"

    def __str__(self) -> str:
        """Return the requirement, and what is there instead."""
        there = "which is not installed" if self.installed is None else f"but {self.installed} is installed"
        return f"{self.wanted}, {there}"


def unmet(distribution: str) -> Iterator[Unmet]:
    """Yield the requirements of a distribution that are missing or of a wrong version, extras' included."""
    for requirement, extra in _requirements(distribution):
        yield from _missing(requirement, extra)


def lacking(requirements: Iterable[str]) -> Iterator[Unmet]:
    """Yield those of some requirements, as pip takes them, that are missing or of a wrong version."""
    for requirement, _ in _parsed(requirements):
        yield from _missing(requirement, None)


def needed(distribution: str) -> set[str]:
    """Return the packages that a distribution needs in this environment, without those of its extras."""
    return {normal(requirement.name) for requirement, extra in _requirements(distribution) if extra is None}


def bringing(module: str, distribution: str) -> str | None:
    """Return the requirement that surely brings a missing module, as pip takes it.

    That is a missing one of the module's name, or the only missing one.
    """
    missing = [one for one in unmet(distribution) if one.installed is None]
    named = [one.wanted for one in missing if normal(one.package) == normal(module)]
    always = [one.wanted for one in missing if one.extra is None]
    return named[0] if named else always[0] if len(always) == 1 else None


def _requirements(distribution: str) -> Iterator[tuple[Requirement, str | None]]:
    """Yield the requirements of a distribution that hold in this environment, each with its extra.

    Those of a distribution that is not installed are passed over.
    """
    return _parsed(_required(distribution))


def _parsed(requirements: Iterable[str]) -> Iterator[tuple[Requirement, str | None]]:
    """Yield the requirements that hold in this environment and can be read, each with its extra."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        extra = _extra(requirement)
        if not requirement.marker or requirement.marker.evaluate({"extra": extra or ""}):
            yield requirement, extra


def _required(distribution: str) -> list[str]:
    try:
        return requires(distribution) or []
    except (PackageNotFoundError, ValueError):
        return []


def _extra(requirement: Requirement) -> str | None:
    """Return the extra that a requirement belongs to: the one with which its marker holds."""
    import re

    found = re.search(r"extra == [\"']([^\"']+)", str(requirement.marker or ""))
    return found[1] if found else None


def _missing(requirement: Requirement, extra: str | None) -> Iterator[Unmet]:
    wanted = f"{requirement.name}{requirement.specifier}"
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        yield Unmet(requirement.name, wanted, None, extra)
        return
    if installed and not requirement.specifier.contains(installed, prereleases=True):
        yield Unmet(requirement.name, wanted, installed, extra)
