"""Datasets that are wrong in one way each."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import attrs

from steermoe_core.data.config import FolderConfig
from steermoe_core.data.sources.folder import read_folder

_TURNS = count()


def right(config):
    """Read a folder."""
    found = read_folder(FolderConfig(path=Path(config.path)))
    return [attrs.evolve(example, split=config.split) for example in found]


def nothing(config):
    """Find no example, and say nothing."""
    return []


def twins(config):
    """Give two examples one name."""
    found = right(config)
    return [*found[:-1], attrs.evolve(found[-1], id=found[0].id)]


def shuffled(config):
    """Give another order each time."""
    found = right(config)
    turn = next(_TURNS) % len(found)
    return found[turn:] + found[:turn]


def numbered(config):
    """Give numbers where text is wanted."""
    return [attrs.evolve(example, text=number) for number, example in enumerate(right(config))]


def gone(config):
    """Name sound files that are not there."""
    return [attrs.evolve(example, audio=example.audio.with_suffix(".gone")) for example in right(config)]


def stretched(config):
    """Say that clips are longer than they are."""
    return [attrs.evolve(example, seconds=1.1 * example.seconds) for example in right(config)]


def leaking(config):
    """Give a part of the test where training examples were asked for."""
    found = right(config)
    return [*found[:-1], attrs.evolve(found[-1], split="test")]


CAUGHT_BY = {
    right: None,
    nothing: "builds",
    twins: "ids",
    shuffled: "stable",
    numbered: "fields",
    gone: "audio",
    stretched: "seconds",
    leaking: "split",
}
