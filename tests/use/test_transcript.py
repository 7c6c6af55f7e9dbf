"""Transcripts as text, JSON and subtitles."""

from __future__ import annotations

import pytest

from steermoe_core.use.transcript import Segment, Transcript, joined

TALK = Transcript(
    [
        Segment(0.0, 28.5, "Good <morning> &\nwelcome.", "eos"),
        Segment(28.5, 58.25, "", "silence"),
        Segment(58.25, 3_725.5, "one two", "limit"),
    ]
)


def test_text_and_json() -> None:
    """Texts in order; the length is where the last segment ends."""
    assert TALK.text == "Good <morning> &\nwelcome. one two"
    assert TALK.as_json() == {
        "text": TALK.text,
        "seconds": 3_725.5,
        "segments": [
            {"start": 0.0, "end": 28.5, "text": "Good <morning> &\nwelcome.", "stop": "eos"},
            {"start": 28.5, "end": 58.25, "text": "", "stop": "silence"},
            {"start": 58.25, "end": 3_725.5, "text": "one two", "stop": "limit"},
        ],
    }


def test_subrip() -> None:
    """Numbers, comma before the thousandths, a line a text, an empty line between; silence has none."""
    assert TALK.srt() == (
        "1\n00:00:00,000 --> 00:00:28,500\nGood <morning> & welcome.\n\n"
        "2\n00:00:58,250 --> 01:02:05,500\none two\n"
    )


def test_webvtt() -> None:
    """Its header; what the format takes for markup is escaped."""
    assert TALK.vtt() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:28.500\nGood &lt;morning&gt; &amp; welcome.\n\n"
        "00:00:58.250 --> 01:02:05.500\none two\n"
    )


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        ([], ""),
        (["", "one", "", "two"], "one two"),
        (["今天天气", "很好。", "OK", "再见"], "今天天气很好。 OK 再见"),
    ],
)
def test_texts_are_joined(texts: list[str], whole: str) -> None:
    """By a space, where the script has spaces."""
    assert joined(texts) == whole
