"""Settings of the pocket lab's parts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import and_, deep_iterable, ge, gt, in_, instance_of, le, min_len

SOURCES = ("human", "synthetic", "voices", "digits", "librivox")
#: Synthesiser → its voices. Of flite's, `kal` is `kal16` at 8 kHz, and `awb_time` tells the time only.
SYNTHESISERS = {
    "flite": ("awb", "kal16", "rms", "slt"),
    "hibari": ("heart",),
    "kokoro": (
        *("af_alloy", "af_aoede", "af_bella", "af_heart", "af_jessica", "af_kore", "af_nicole", "af_nova"),
        *("af_river", "af_sarah", "af_sky", "am_adam", "am_echo", "am_eric", "am_fenrir", "am_liam"),
        *("am_michael", "am_onyx", "am_puck", "am_santa", "bf_alice", "bf_emma", "bf_isabella", "bf_lily"),
        *("bm_daniel", "bm_fable", "bm_george", "bm_lewis"),
    ),
    "piper": ("joe",),
}
VOICES = tuple(f"{synthesiser}-{name}" for synthesiser, names in SYNTHESISERS.items() for name in names)
LANGUAGES = ("en", "es", "fr")
SPLITS = ("train", "dev", "test", "all")


@attrs.frozen(kw_only=True)
class WeightsConfig:
    """A pocket model has no settings: its files are what they are."""


@attrs.frozen(kw_only=True)
class SpeechConfig:
    """`use = "pocket-speech"`: which speech, how much of it, and what stands in where it is not installed.

    :param source: `human` is 549 telephone prompts by one speaker (24 minutes), `synthetic` is generated
        sentences by a synthetic voice, `voices` is varied sentences by many synthetic voices, `digits` is
        numbers put together from the human recordings of number words, `librivox` is five sentences of an
        audio book, for tests only.
    :param languages: of `human`: English (`en`), Spanish (`es`, 29 minutes, the same speaker, transcripts
        without accents), French (`fr`, 23 minutes, another speaker), or several of them.
    :param split: part of the source; equal texts are in equal parts, in every source.
    :param fallback: what is taken where the Debian packages of `human`, `digits`, `librivox` or `voices` are
        missing: `synthetic` speech, with a warning, or `none`, which stops the run.
    :param voices: of the source `voices`: single ones such as `kokoro-bm_lewis`, or all of a synthesiser:
        `flite`, `hibari`, `piper` (all quick) or `kokoro` (natural, about four times faster than it speaks).
    :param hours: amount of synthetic or composed speech, all parts together; 1 is the beginning of 2. Of
        `voices`, it is the amount of the part `split`, divided equally among the voices.
    :param seed: start of the random sentences, numbers, speeds and pitches.
    :param numbers: numbers in the transcripts as they are `written` ("press 1") or `spelled` ("press one").
    :param speeds: each clip is taken once at each of these speeds (pitch changes with it); for training.
    :param share: where the Debian packages are unpacked.
    """

    source: Literal["human", "synthetic", "voices", "digits", "librivox"] = attrs.field(
        default="human",
        validator=in_(SOURCES),
    )
    languages: list[str] = attrs.field(
        factory=lambda: ["en"], validator=deep_iterable(in_(LANGUAGES), min_len(1))
    )
    split: Literal["train", "dev", "test", "all"] = attrs.field(default="train", validator=in_(SPLITS))
    fallback: Literal["synthetic", "none"] = attrs.field(
        default="synthetic",
        validator=in_(("synthetic", "none")),
    )
    voices: list[str] = attrs.field(
        factory=lambda: ["flite", "hibari"],
        validator=deep_iterable(in_((*SYNTHESISERS, *VOICES)), min_len(1)),
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

    @languages.validator
    def _check_languages(self, _attribute: object, value: list[str]) -> None:
        if self.source != "human" and value != ["en"]:
            msg = (
                f'only the human source has languages besides English: languages must be ["en"], not {value}'
            )
            raise ValueError(msg)
