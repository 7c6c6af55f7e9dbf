"""The record of one installed plugin: who it is, how it fares, what it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from steermoe_core.component import Component

#: What a plugin offers: (kind, component) pairs.
Offer = tuple[tuple[str, "Component"], ...]
#: Name of the plugin that holds the built-in parts, and of the distribution that brings it.
BUILTIN, ENGINE = "builtin", "steermoe"
#: Seconds of import from which a plugin is called slow: ten of them would cost every command three seconds.
SLOW = 0.3


@attrs.frozen(kw_only=True)
class Plugin:
    """One installed plugin and how it fares.

    :param name: entry-point name; the name that `--block` takes.
    :param distribution: name of the distribution that brings it.
    :param version: version of that distribution.
    :param status: `active`, `blocked` (by the user, never imported) or `broken` (quarantined).
    :param reason: why it is not active.
    :param hint: what to do about that.
    :param components: (kind, component) pairs it registers; none unless it is active.
    :param withheld: (kind, component) pairs that a broken plugin would have registered, if known.
    :param location: folder it is installed in, or the source folder of an editable install.
    :param editable: whether it is an editable install.
    :param seconds: time that its import and its hooks took.
    :param heavy: libraries of `HEAVY` that it was the first to import.
    :param trace: traceback of what it raised.
    """

    name: str
    distribution: str
    version: str
    status: Literal["active", "blocked", "broken"] = "active"
    reason: str | None = None
    hint: str = ""
    components: Offer = ()
    withheld: Offer = ()
    location: str | None = None
    editable: bool = False
    seconds: float = 0.0
    heavy: tuple[str, ...] = ()
    trace: str | None = attrs.field(default=None, repr=False)

    @property
    def origin(self) -> str:
        """Distribution and version, as shown to people."""
        return f"{self.distribution} {self.version}"

    @property
    def slow(self) -> str | None:
        """What is slow about it, as a clause; None where nothing is."""
        if self.heavy:
            return f"it imports {', '.join(self.heavy)} at once"
        return f"its import took {self.seconds:.2f} s" if self.seconds >= SLOW else None

    def broken(self, reason: str, hint: str) -> Plugin:
        """Return this plugin quarantined."""
        withheld = self.components or self.withheld
        return attrs.evolve(self, status="broken", reason=reason, hint=hint, components=(), withheld=withheld)
