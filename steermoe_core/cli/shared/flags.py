"""Flags that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.numbers import count

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


def add_model(parser: ArgumentParser) -> None:
    """Declare what commands take that use a trained model."""
    text = "a run folder, an adapter folder, hub:OWNER/NAME, or an adapter that a plugin brings"
    parser.add_argument("folder", metavar="RUN", help=text)
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where it computes (default auto)"
    )
    text = "sounds answered together; texts stay the same"
    parser.add_argument("--batch-size", type=count, metavar="N", help=text)
