"""`steermoe demo MODEL…`: open a page to try trained models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core import Session

_PORTS = 65_535


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="run or adapter folder, hub:OWNER/NAME, or a plugin's adapter; several are shown side by side",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="0 picks a free one (default %(default)s)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where it computes")
    parser.add_argument(
        "--space",
        type=Path,
        metavar="DIR",
        help="write the files of a Hugging Face Space with this page; serve nothing",
    )


def run(args: Namespace, session: Session) -> int:
    """Load the models and serve the page until a signal; return the exit code.

    :raises UsageError: a flag has an impossible value, or there is no such model.
    :raises SetupError: the address cannot be used.
    """
    say = partial(session.console.print, soft_wrap=True)  # a path stays on one line
    if args.space is not None:
        from steermoe_demo.space import write

        write(args.space, args.models, session)
        say(f"wrote {args.space}\nhf upload OWNER/NAME {args.space} --repo-type space")
        return 0
    if not 0 <= args.port <= _PORTS:
        msg = f"--port must be a number from 0 to {_PORTS}, is {args.port}"
        raise UsageError(msg)
    from steermoe_demo.server import LOOPBACK, listening, names, serve

    named = names(args.models)
    with listening(args.host, args.port) as place:
        from steermoe_core import Transcriber

        models = {}
        for name, source in named.items():
            say(f"loading {source}")
            models[name] = Transcriber(source, session.registry, args.device)
        host = f"[{args.host}]" if ":" in args.host else args.host
        say(f"open http://{host}:{place.getsockname()[1]} (Ctrl+C stops it)")
        if args.host not in LOOPBACK:
            say("anybody who reaches this address can use it")
        serve(models, place, args.host)
    return 0
