"""The record of one installed plugin: its distribution, its status, what it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

from steermoe_core.component import COMMAND, Command, Component

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steermoe_core.plugins.discovery import Entry

#: The components that a plugin offers: (kind, component) pairs.
Components = tuple[tuple[str, Component], ...]
#: All that a plugin offers: its components, and its commands with the kind `COMMAND`.
Offer = tuple[tuple[str, Component | Command], ...]
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
    :param commands: that it adds; none unless it is active.
    :param withheld: what a broken plugin would have registered, if known.
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
    components: Components = ()
    commands: tuple[Command, ...] = ()
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
    def offer(self) -> Offer:
        """All that it registers."""
        return (*self.components, *((COMMAND, command) for command in self.commands))

    @property
    def slow(self) -> str | None:
        """What is slow about its import, as a clause; None where nothing is."""
        if self.heavy:
            return f"it imports {', '.join(self.heavy)}"
        return f"its import takes {self.seconds:.2f} s" if self.seconds >= SLOW else None

    def broken(self, reason: str, hint: str) -> Plugin:
        """Return this plugin quarantined."""
        return attrs.evolve(
            self,
            status="broken",
            reason=reason,
            hint=hint,
            components=(),
            commands=(),
            withheld=self.offer or self.withheld,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the plugin as JSON holds it."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Plugin:
        """Return a plugin from what `to_json` returned.

        :raises Exception: it is something else.
        """
        own = {
            "components": tuple((kind, Component(**part)) for kind, part in fields["components"]),
            "commands": tuple(Command(**command) for command in fields["commands"]),
            "withheld": tuple(
                (kind, (Command if kind == COMMAND else Component)(**part))
                for kind, part in fields["withheld"]
            ),
        }
        lists = {key: tuple(fields[key]) for key in ("hooks", "heavy")}
        return cls(**{**fields, **own, **lists})
