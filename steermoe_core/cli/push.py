"""`steermoe push RUN REPO`: upload the adapter of a run to the Hugging Face Hub, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.system.printing import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run folder with a trained adapter")
    parser.add_argument(
        "repo", metavar="REPO", help="OWNER/NAME of the model repository, created if it does not exist"
    )
    parser.add_argument("--public", action="store_true", help="create the repository as public")
    parser.add_argument(
        "--licence", default="", metavar="ID", help="licence of the adapter for the model card, such as mit"
    )
    parser.add_argument(
        "--language",
        action="append",
        default=[],
        metavar="CODE",
        help="language of the adapter for the model card, such as en (repeatable)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be uploaded; upload nothing")


def run(args: Namespace, session: Session) -> int:
    """Upload the files, or print them."""
    from steermoe_core.run.folder.hub import push
    from steermoe_core.use.card import PAGE, repository_files

    files = repository_files(args.folder, args.repo, session.registry, args.licence, args.language)
    for name, content in files.items():
        say(f"{len(content):>12,} bytes  {name}")
    if args.dry_run:
        say(f"\n{files[PAGE].decode()}")
        return 0
    address = push(args.repo, files, public=args.public, message="The adapter, as steermoe trained it")
    say(f"{address}\nsteermoe transcribe hub:{args.repo} FILE")
    return 0
