"""The checks of a set of weights: a folder that is there, without the network."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.testing.suite import Suite, needs

if TYPE_CHECKING:
    from collections.abc import Iterator


class _AskedError(Exception):
    """The network was asked for."""


class WeightsSuite(Suite):
    """Checks of weights: a function that returns the folder of a model."""

    kind = "weights"

    def selection(self, **changed: Any) -> Any:
        """Return the settings: weights are chosen by name alone, and have none but defaults."""
        from steermoe_core.component import Selection

        return Selection(self.kind, self.component, self.record.config_class()(**changed))

    def check_type(self, part: Any) -> None:
        """Refuse what is no folder with files."""
        self.expect(
            isinstance(part, Path), f"the factory gave a {type(part).__name__}, expected a pathlib.Path"
        )
        self.expect(
            part.is_dir(), f"the factory gave {part}, which is no folder: make it, or raise SetupError"
        )
        self.expect(any(part.iterdir()), f"the factory gave {part}, which is empty")

    @needs("builds")
    def test_offline(self) -> None:
        """They are there without the network."""
        try:
            with _no_network():
                self.build()
        except _AskedError as error:
            msg = (
                f"the factory asks for {error}: weights are what this machine has; a model hub needs no "
                "plugin"
            )
            raise self.wrong(msg) from error

    @needs("builds")
    def test_stable(self) -> None:
        """Asked again, it is the same folder."""
        one, other = self.build(), self.build()
        self.expect(one == other, f"asked twice it gives {one}, then {other}: runs would hold other weights")


@contextmanager
def _no_network() -> Iterator[None]:
    """Let nobody look up a host or connect."""

    def refuse(*args: Any, **_: Any) -> None:
        raise _AskedError(args[0] if isinstance(args[0], str) else args[-1])

    kept = socket.getaddrinfo, socket.socket.connect
    socket.getaddrinfo = refuse  # type: ignore[assignment]
    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.getaddrinfo, socket.socket.connect = kept  # type: ignore[method-assign]
