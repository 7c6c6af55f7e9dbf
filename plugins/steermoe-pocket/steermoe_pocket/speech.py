"""The dataset `pocket-speech`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from steermoe_core.data.example import at_speeds
from steermoe_pocket import digits, human, synthetic
from steermoe_pocket.debian import SpeechMissingError
from steermoe_pocket.voices import source

if TYPE_CHECKING:
    from steermoe_core.data.example import Example
    from steermoe_pocket.clips import Clip
    from steermoe_pocket.config import SpeechConfig

_LOG = logging.getLogger("steermoe")


def examples(config: SpeechConfig) -> list[Example]:
    """Return the examples of one part of a source, in the same order in every run.

    :raises SpeechMissingError: when the source's Debian package is not installed and nothing may stand in.
    """
    found = (clip.example(config.numbers) for clip in _clips(config))
    return at_speeds([example for example in found if config.split in ("all", example.split)], config.speeds)


def _clips(config: SpeechConfig) -> list[Clip]:
    try:
        return _wanted(config)
    except SpeechMissingError as error:
        if config.fallback == "none":
            raise
        _LOG.warning('pocket-speech: synthetic speech stands in for "%s" (%s)', config.source, error)
        return stand_in(config)


def stand_in(config: SpeechConfig, processes: int | None = None) -> list[Clip]:
    """Return synthetic speech; for several voices, other sentences than those of the source `synthetic`."""
    return synthetic.recordings(config.hours, config.seed + (config.source == "voices"), processes)


def _wanted(config: SpeechConfig) -> list[Clip]:
    if config.source == "human":
        return [clip for name in config.languages for clip in human.prompts(config.share, name)]
    if config.source == "librivox":
        return human.librivox(config.share)
    if config.source == "voices":
        return source.recordings(config.voices, config.split, config.hours, config.seed)
    if config.source == "digits":
        return digits.recordings(config.hours, config.seed, config.share)
    return synthetic.recordings(config.hours, config.seed)
