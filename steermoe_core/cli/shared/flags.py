"""Flags that several commands share, and the types of their values."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from steermoe_core.config.text.unset import Unset


def add_set(parser: ArgumentParser) -> None:
    """Declare `--set` and `--unset`, which are collected in one list."""
    text = "override a key of every file (repeatable)"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    text = "drop a key or table of every file, before any --set (repeatable)"
    parser.add_argument("--unset", action="append", dest="set", type=_unset, metavar="KEY", help=text)


def _unset(key: str) -> Unset:
    from steermoe_core.config.text.unset import Unset

    return Unset(key)


def add_runs(parser: ArgumentParser) -> None:
    """Declare `--runs`."""
    text = "parent folder of the run folders (default runs)"
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help=text)


def add_parallel(parser: ArgumentParser) -> None:
    """Declare `--parallel`."""
    text = "runs at the same time, each in its own process on its share of the cores (default 1)"
    parser.add_argument("--parallel", type=count, default=1, metavar="N", help=text)


def add_model(parser: ArgumentParser) -> None:
    """Declare the arguments of commands that use a trained model."""
    text = "a run folder, an adapter folder, hub:OWNER/NAME, or the name of a plugin's adapter"
    parser.add_argument("folder", metavar="RUN", help=text)
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="device of the model (default auto)"
    )
    text = "segments processed together, of all recordings; texts stay the same"
    parser.add_argument("--batch-size", "--batch", type=count, metavar="N", help=text)


def add_lengths(parser: ArgumentParser) -> None:
    """Declare `--lengths`."""
    text = "lengths of the clips: of the training data (default), or like LibriSpeech's"
    parser.add_argument("--lengths", choices=("data", "librispeech"), default="data", help=text)


def count(text: str) -> int:
    """Return a whole number of at least 1.

    :raises ArgumentTypeError: the text is not one.
    """
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not a whole number of at least 1"
        raise ArgumentTypeError(msg)
    return int(text)


def seed(text: str) -> int:
    """Return a whole number of at least 0.

    :raises ArgumentTypeError: the text is not one.
    """
    if not text.isdecimal():
        msg = f"{text!r} is not a whole number of at least 0"
        raise ArgumentTypeError(msg)
    return int(text)


def seconds(text: str) -> float:
    """Return a number above 0.

    :raises ArgumentTypeError: the text is not one.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        msg = f"{text!r} is not a number above 0"
        raise ArgumentTypeError(msg)
    return value


def setting(text: str) -> tuple[str, Any]:
    """Return a key and its value: a TOML value, anything else is text.

    :raises ArgumentTypeError: the text is not KEY=VALUE.
    """
    import tomli

    key, _, value = text.partition("=")
    if not key or not value:
        msg = f"{text!r} is not KEY=VALUE"
        raise ArgumentTypeError(msg)
    try:
        return key, tomli.loads(f"value = {value}")["value"]
    except tomli.TOMLDecodeError:
        return key, value


def commas(text: str) -> list[str]:
    """Return texts between commas.

    :raises ArgumentTypeError: there is none.
    """
    found = [one.strip() for one in text.split(",") if one.strip()]
    if not found:
        msg = f"{text!r} is no list of texts with commas between them"
        raise ArgumentTypeError(msg)
    return found


def check_kinds(*kinds: str) -> None:
    """Refuse a kind that does not exist; commands are a kind, too.

    :raises UsageError: one does not.
    """
    from steermoe_core.component import COMMAND, KINDS
    from steermoe_core.errors import UsageError
    from steermoe_core.suggest import did_you_mean

    known = (*KINDS, COMMAND)
    for kind in kinds:
        if kind not in known:
            msg = f'there is no kind "{kind}"{did_you_mean(kind, known)} (known: {", ".join(known)})'
            raise UsageError(msg)
