"""Flags that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser


def add_set(parser: ArgumentParser) -> None:
    """Declare `--set`."""
    text = "change a key of every file (repeatable)"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)


def add_runs(parser: ArgumentParser) -> None:
    """Declare `--runs`."""
    text = "where run folders go (default runs)"
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help=text)
