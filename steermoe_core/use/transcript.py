"""What a model wrote to a recording: segments and words with their times, as text, JSON or subtitles."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from steermoe_core.system.records import Json

#: Around the highlighted word of a subtitle.
_MARK, _END = "<u>", "</u>"


@attrs.frozen
class Word:
    """A word of a segment.

    :param start: where it begins in the recording, in seconds.
    :param end: where it ends.
    :param word: with its punctuation.
    """

    start: float
    end: float
    word: str


@attrs.frozen
class Segment:
    """What the model wrote to a span of a recording.

    :param start: where it begins, in seconds.
    :param end: where it ends, in seconds.
    :param text: what was written.
    :param stop: why that ended: `eos`, the model was done; `limit`, it was cut at the limit of tokens;
        `silence`, there is no sound (or with voice activity detection, no speech) in it and the model was not
        asked.
    :param words: with their times; None where they were not asked for, empty where no times were found.
    :param times: how those were found: `ctc`, by alignment with the projector's CTC head; `attention`, by
        what the language model attends to.
    """

    start: float
    end: float
    text: str
    stop: str
    words: Sequence[Word] | None = None
    times: Literal["ctc", "attention"] | None = None


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

    @property
    def words(self) -> list[Word]:
        """The words of all segments, where they were asked for."""
        return [word for segment in self.segments for word in segment.words or ()]

    def as_json(self) -> Json:
        """Return text, length and segments as plain values; without words, a segment has no keys for them."""
        segments = [attrs.asdict(one, filter=lambda _, value: value is not None) for one in self.segments]
        return {"text": self.text, "seconds": self.seconds, "segments": segments}

    def srt(self, *, highlight: bool = False) -> str:
        """Return SubRip subtitles, one for each segment with text, as long as its words where it has them.

        :param highlight: one for each word instead, which is underlined in the text of its segment.
        """
        return "\n".join(
            f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{''.join(parts)}\n"
            for number, (start, end, parts) in enumerate(self._cues(highlight=highlight), start=1)
        )

    def vtt(self, *, highlight: bool = False) -> str:
        """Return WebVTT subtitles; otherwise as `srt`."""
        cues = (
            f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n{_escaped(parts)}\n"
            for start, end, parts in self._cues(highlight=highlight)
        )
        return "WEBVTT\n" + "".join(cues)

    def _cues(self, *, highlight: bool) -> Iterator[tuple[float, float, tuple[str, ...]]]:
        """Yield start, end and the parts of the text: whole, or before, mark, word, mark, after."""
        for segment in self.segments:
            text, words = oneline(segment.text), segment.words or ()
            if highlight and words:
                yield from _highlighted(text, words)
            elif text:
                yield (words[0] if words else segment).start, (words[-1] if words else segment).end, (text,)


def _highlighted(text: str, words: Sequence[Word]) -> Iterator[tuple[float, float, tuple[str, ...]]]:
    """Yield a cue for each word, until the next one begins."""
    after = 0
    ends = [*(word.start for word in words[1:]), *(word.end for word in words[-1:])]
    for one, end in zip(words, ends, strict=True):
        begin = text.index(one.word, after)
        after = begin + len(one.word)
        yield one.start, end, (text[:begin], _MARK, one.word, _END, text[after:])


def _escaped(parts: Sequence[str]) -> str:
    return "".join(part if part in (_MARK, _END) else html.escape(part, quote=False) for part in parts)


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
