"""`steermoe serve MODEL`: serve a trained model at an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
import socket
from functools import partial
from typing import TYPE_CHECKING

from steermoe_core import SetupError, UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core import Session

#: Environment variable with the key that clients must send.
KEY = "STEERMOE_API_KEY"
_MEGABYTE = 2**20
_PORTS = 65_535


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "model", metavar="MODEL", help="run or adapter folder, hub:OWNER/NAME, or a plugin's adapter"
    )
    parser.add_argument("--name", metavar="NAME", help="name of the model in requests (default: MODEL)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one (default %(default)s)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where it computes")
    parser.add_argument("--batch-size", type=int, metavar="N", help="segments that are decoded together")
    parser.add_argument("--segment", type=float, metavar="SECONDS", help="longest segment, as in transcribe")
    parser.add_argument(
        "--language", default="", metavar="CODE", help="language of the model, for requests that name one"
    )
    parser.add_argument(
        "--max-mb", type=float, default=25.0, metavar="MB", help="largest upload (default %(default)s)"
    )
    parser.add_argument(
        "--max-minutes",
        type=float,
        default=120.0,
        metavar="M",
        help="longest recording (default %(default)s)",
    )
    parser.add_argument(
        "--max-waiting",
        type=int,
        default=256,
        metavar="N",
        help="requests that may wait (default %(default)s)",
    )


def run(args: Namespace, session: Session) -> int:
    """Load the model and serve it until a signal; return the exit code.

    :raises UsageError: a flag has an impossible value, or there is no such model.
    :raises SetupError: the address cannot be used.
    """
    _check(args)
    listening = _listening(args.host, args.port)
    from steermoe_core import Transcriber
    from steermoe_serve.app import LOOPBACK, Settings, application
    from steermoe_serve.batching import Batching

    say = partial(session.console.print, soft_wrap=True)  # a path stays on one line
    say(f"loading {args.model}")
    model = Transcriber(args.model, session.registry, args.device, args.batch_size)
    loopback = args.host in LOOPBACK
    settings = Settings(
        name=args.name or args.model,
        language=args.language,
        key=os.environ.get(KEY, ""),
        most_bytes=round(args.max_mb * _MEGABYTE),
        most_seconds=args.max_minutes * 60,
        hosts=LOOPBACK if loopback else (),
    )
    import uvicorn

    app = application(Batching(model, args.segment, args.max_waiting), settings)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    host = f"[{args.host}]" if ":" in args.host else args.host
    say(f"serving {settings.name} at http://{host}:{listening.getsockname()[1]}/v1 (Ctrl+C stops it)")
    if not loopback and not settings.key:
        say(f"anybody who reaches this address can use it; set {KEY} to ask for a key")
    server.run(sockets=[listening])
    return 0


def _check(args: Namespace) -> None:
    for name, least in (("batch_size", 1), ("max_waiting", 1), ("max_mb", 0), ("max_minutes", 0)):
        value = getattr(args, name)
        if value is not None and (value < least or not value > 0):
            msg = f"--{name.replace('_', '-')} must be positive, is {value:g}"
            raise UsageError(msg)
    if not 0 <= args.port <= _PORTS:
        msg = f"--port must be a number from 0 to {_PORTS}, is {args.port}"
        raise UsageError(msg)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket at an address, before the model is loaded.

    :raises SetupError: it is taken or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = error.strerror or error
        msg = f"cannot listen on {host} port {port} ({reason}); choose another --port or --host"
        raise SetupError(msg) from None
