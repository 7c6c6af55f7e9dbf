"""Settings of the pocket lab's parts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import and_, deep_iterable, ge, gt, in_, instance_of, le, min_len

SOURCES = ("human", "synthetic", "digits", "librivox")
SPLITS = ("train", "dev", "test", "all")


@attrs.frozen(kw_only=True)
class WeightsConfig:
    """A pocket model has no settings: its files are what they are."""


@attrs.frozen(kw_only=True)
class SpeechConfig:
    """`use = "pocket-speech"`: which speech, how much of it, and what stands in where it is not installed.

    :param source: `human` is 549 telephone prompts by one speaker (24 minutes), `synthetic` is generated
        sentences by a synthetic voice, `digits` is numbers put together from the human recordings of number
        words, `librivox` is five sentences of an audio book, for tests only.
    :param split: part of the source; equal texts are in equal parts, in every source.
    :param fallback: what is taken where the Debian packages of `human`, `digits` or `librivox` are missing:
        `synthetic` speech, with a warning, or `none`, which stops the run.
    :param hours: amount of synthetic or composed speech, all parts together; 1 is the beginning of 2.
    :param seed: start of the random sentences, numbers, speeds and pitches.
    :param numbers: numbers in the transcripts as they are `written` ("press 1") or `spelled` ("press one").
    :param speeds: each clip is taken once at each of these speeds (pitch changes with it); for training.
    :param share: where the Debian packages are unpacked.
    """

    source: Literal["human", "synthetic", "digits", "librivox"] = attrs.field(
        default="human",
        validator=in_(SOURCES),
    )
    split: Literal["train", "dev", "test", "all"] = attrs.field(default="train", validator=in_(SPLITS))
    fallback: Literal["synthetic", "none"] = attrs.field(
        default="synthetic",
        validator=in_(("synthetic", "none")),
    )
    hours: float = attrs.field(default=1.5, validator=[gt(0.0), le(1_000.0)])
    seed: int = attrs.field(default=17, validator=ge(0))
    numbers: Literal["written", "spelled"] = attrs.field(
        default="written",
        validator=in_(("written", "spelled")),
    )
    speeds: list[float] = attrs.field(
        factory=lambda: [1.0], validator=deep_iterable(and_(ge(0.1), le(10.0)), min_len(1))
    )
    share: Path = attrs.field(default=Path("/usr/share"), validator=instance_of(Path))

    @split.validator
    def _check_split(self, _attribute: object, value: str) -> None:
        if self.source == "librivox" and value not in ("test", "all"):
            msg = f'the librivox source is for tests only: split must be "test", not "{value}"'
            raise ValueError(msg)
