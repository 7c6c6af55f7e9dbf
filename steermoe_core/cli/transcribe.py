"""`steermoe transcribe RUN FILE…`: the text of sound files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    text = "a run folder, an adapter folder or hub:OWNER/NAME"
    parser.add_argument("folder", metavar="RUN", help=text)
    parser.add_argument("sounds", nargs="+", type=Path, metavar="FILE", help="sound files, any rate")
    parser.add_argument(
        "--prompt", metavar="TEXT", help="ask this of each sound, not the experiment's prompt"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")


def run(args: Namespace, session: Session) -> int:
    """Print a line a file."""
    if missing := [sound for sound in args.sounds if not sound.is_file()]:
        msg = f"{missing[0]}: there is no such audio file"
        raise DataError(msg)
    from steermoe_core.run.transcriber import Transcriber

    texts = Transcriber(args.folder, session.registry).transcribe(args.sounds, args.prompt)
    for sound, text in zip(args.sounds, texts, strict=True):
        if args.json:
            print(json.dumps({"file": str(sound), "text": text}, ensure_ascii=False))
        else:
            line = " ".join(text.split())  # an answer may hold line breaks, and a file has one line
            print(f"{sound}: {line}" if len(texts) > 1 else line)
    return 0
