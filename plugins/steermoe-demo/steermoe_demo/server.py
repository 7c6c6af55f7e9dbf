"""The server of the page."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core import SetupError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steermoe_core import Transcriber

#: Names under which a browser on this machine reaches a server of this machine alone.
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


def demo(sources: Sequence[str], host: str = "127.0.0.1", port: int = 7860) -> None:
    """Load trained models and serve their page until the process is stopped: what a Space does.

    :param sources: as `steermoe_core.load` takes them.
    :raises SteermoeError: one cannot be loaded, or the address cannot be used.
    """
    from steermoe_core import load

    named = names(sources)
    with listening(host, port) as place:
        serve({name: load(source) for name, source in named.items()}, place, host)


def names(sources: Sequence[str]) -> dict[str, str]:
    """Return the sources by a name for each: that of its folder, if no two are alike.

    :raises UsageError: one is given twice.
    """
    if twice := [source for source in sources if sources.count(source) > 1]:
        msg = f"{twice[0]} is given twice; name each model once"
        raise UsageError(msg)
    short = [Path(source).resolve().name if Path(source).is_dir() else source for source in sources]
    return dict(zip(short if len(set(short)) == len(short) else sources, sources, strict=True))


def listening(host: str, port: int) -> socket.socket:
    """Return a socket at an address, before a model is loaded.

    :raises SetupError: it is taken or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = error.strerror or error
        msg = f"cannot listen on {host} port {port} ({reason}); choose another --port or --host"
        raise SetupError(msg) from None


def serve(models: Mapping[str, Transcriber], place: socket.socket, host: str) -> None:
    """Serve the page of some models until a signal.

    :param host: that the socket listens on.
    """
    import uvicorn

    from steermoe_demo.page import application

    config = uvicorn.Config(application(models, host), log_level="warning", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[place])
