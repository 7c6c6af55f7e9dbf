"""Weights that are wrong in one way each."""

from __future__ import annotations

import socket
from pathlib import Path
from tempfile import mkdtemp


def right(config):
    """Give a folder that is there."""
    return Path(__file__).parent


def gone(config):
    """Give a folder that is not there."""
    return Path(__file__).parent / "gone"


def fetched(config):
    """Ask somebody else first."""
    socket.getaddrinfo("localhost", 80)
    return Path(__file__).parent


def moving(config):
    """Give another folder each time."""
    place = Path(mkdtemp())
    (place / "config.json").write_text("{}")
    return place


CAUGHT_BY = {right: None, gone: "builds", fetched: "offline", moving: "stable"}
