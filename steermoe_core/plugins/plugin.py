"""The record of one installed plugin: its distribution, its status, its components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

from steermoe_core.component import Component

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steermoe_core.plugins.discovery import Entry

#: What a plugin offers: (kind, component) pairs.
Offer = tuple[tuple[str, Component], ...]
#: Name of the plugin that holds the built-in parts, and of the distribution that brings it.
BUILTIN, ENGINE = "builtin", "steermoe"
#: Seconds of computing from which an import is called slow.
SLOW = 0.3


@attrs.frozen(kw_only=True)
class Plugin:
    """One installed plugin and its status.

    :param name: entry-point name; the name that `--block` takes.
    :param distribution: name of the distribution that brings it.
    :param version: version of that distribution.
    :param value: its entry point, ``"module"`` or ``"module:object"``.
    :param status: `active`, `blocked` (by the user, never imported) or `broken` (quarantined).
    :param reason: why it is not active.
    :param hint: what to do about that.
    :param components: (kind, component) pairs it registers; none unless it is active.
    :param withheld: (kind, component) pairs that a broken plugin would have registered, if known.
    :param hooks: the life-cycle hooks that it implements.
    :param location: folder it is installed in, or the source folder of an editable install.
    :param editable: whether it is an editable install.
    :param seconds: of computing (CPU time) that its import, its hooks and its settings classes take.
    :param heavy: heavy libraries that these import.
    :param trace: traceback of what it raised.
    """

    name: str
    distribution: str
    version: str
    value: str = ""
    status: Literal["active", "blocked", "broken"] = "active"
    reason: str | None = None
    hint: str = ""
    components: Offer = ()
    withheld: Offer = ()
    hooks: tuple[str, ...] = ()
    location: str | None = None
    editable: bool = False
    seconds: float = 0.0
    heavy: tuple[str, ...] = ()
    trace: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, entry: Entry) -> Plugin:
        """Return the plugin of an entry point, of which nothing else is known yet."""
        return cls(
            name=entry.name,
            distribution=entry.distribution,
            version=entry.version,
            value=entry.value,
            location=entry.location,
            editable=entry.editable,
        )

    @property
    def origin(self) -> str:
        """Distribution and version, as shown to people."""
        return f"{self.distribution} {self.version}"

    @property
    def slow(self) -> str | None:
        """What is slow about its import, as a clause; None where nothing is."""
        if self.heavy:
            return f"it imports {', '.join(self.heavy)}"
        return f"its import takes {self.seconds:.2f} s" if self.seconds >= SLOW else None

    def broken(self, reason: str, hint: str) -> Plugin:
        """Return this plugin quarantined."""
        withheld = self.components or self.withheld
        return attrs.evolve(self, status="broken", reason=reason, hint=hint, components=(), withheld=withheld)

    def to_json(self) -> dict[str, Any]:
        """Return the plugin as JSON holds it."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Plugin:
        """Return a plugin from what `to_json` returned.

        :raises Exception: it is something else.
        """
        offers = {
            key: tuple((kind, Component(**part)) for kind, part in fields[key])
            for key in ("components", "withheld")
        }
        lists = {key: tuple(fields[key]) for key in ("hooks", "heavy")}
        return cls(**{**fields, **offers, **lists})
