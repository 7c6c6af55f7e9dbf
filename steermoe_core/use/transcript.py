"""What a model wrote to a recording: segments with their times, as text, JSON or subtitles."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from steermoe_core.system.records import Json


@attrs.frozen
class Segment:
    """What the model wrote to a span of a recording.

    :param start: where it begins, in seconds.
    :param end: where it ends, in seconds.
    :param text: what was written.
    :param stop: why that ended: `eos`, the model was done; `limit`, it was cut at the limit of tokens;
        `silence`, there is no sound in it and the model was not asked.
    """

    start: float
    end: float
    text: str
    stop: str


@attrs.frozen
class Transcript:
    """All that was written to a recording.

    :param segments: in the recording's order, without gaps.
    """

    segments: Sequence[Segment]

    @property
    def text(self) -> str:
        """The texts of all segments."""
        return joined(segment.text for segment in self.segments)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.segments[-1].end

    def as_json(self) -> Json:
        """Return text, length and segments as plain values."""
        segments = [attrs.asdict(segment) for segment in self.segments]
        return {"text": self.text, "seconds": self.seconds, "segments": segments}

    def srt(self) -> str:
        """Return SubRip subtitles, one for each segment with text."""
        return "\n".join(
            f"{number}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n{oneline(one.text)}\n"
            for number, one in enumerate(self._spoken(), start=1)
        )

    def vtt(self) -> str:
        """Return WebVTT subtitles, one for each segment with text."""
        cues = (
            f"\n{_clock(one.start, '.')} --> {_clock(one.end, '.')}\n"
            f"{html.escape(oneline(one.text), quote=False)}\n"
            for one in self._spoken()
        )
        return "WEBVTT\n" + "".join(cues)

    def _spoken(self) -> list[Segment]:
        return [segment for segment in self.segments if segment.text.strip()]


def joined(texts: Iterable[str]) -> str:
    """Return texts as one, a space between two, but none between wide letters such as Chinese ones."""
    whole = ""
    for text in filter(None, texts):
        tight = whole and all(unicodedata.east_asian_width(c) in "WF" for c in (whole[-1], text[0]))
        whole += text if tight or not whole else f" {text}"
    return whole


def oneline(text: str) -> str:
    """Return a text without its line breaks: an answer may hold some, and a line of output has one text."""
    return " ".join(text.split())


def _clock(seconds: float, point: str) -> str:
    minutes, thousandths = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{thousandths // 1000:02d}{point}{thousandths % 1000:03d}"
