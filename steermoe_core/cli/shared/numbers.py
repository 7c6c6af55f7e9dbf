"""Numbers on the command line that have a lower limit."""

from __future__ import annotations

from argparse import ArgumentTypeError


def count(text: str) -> int:
    """Return a whole number of at least 1.

    :raises ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not a whole number of at least 1"
        raise ArgumentTypeError(msg)
    return int(text)


def seed(text: str) -> int:
    """Return a whole number of at least 0.

    :raises ArgumentTypeError: it is none.
    """
    if not text.isdecimal():
        msg = f"{text!r} is not a whole number of at least 0"
        raise ArgumentTypeError(msg)
    return int(text)


def seconds(text: str) -> float:
    """Return a number above 0.

    :raises ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        msg = f"{text!r} is not a number above 0"
        raise ArgumentTypeError(msg)
    return value
