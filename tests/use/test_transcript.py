"""Transcripts as text, JSON and subtitles."""

from __future__ import annotations

import pytest

from steermoe_core.use.transcript import Segment, Transcript, Word, joined

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


class TestWords:
    """Segments with the times of their words."""

    WORDS = (Word(0.5, 0.9, "one"), Word(1.0, 1.2, "&"), Word(1.5, 2.0, "one"))
    SAID = Transcript(
        [Segment(0.0, 4.0, "one & one", "eos", WORDS, "ctc"), Segment(4.0, 9.0, "", "silence", [])]
    )

    def test_json(self) -> None:
        """Words and how their times were found; a segment without text has neither."""
        first, second = self.SAID.as_json()["segments"]
        assert first["words"][1] == {"start": 1.0, "end": 1.2, "word": "&"}
        assert first["times"] == "ctc"
        assert second == {"start": 4.0, "end": 9.0, "text": "", "stop": "silence", "words": []}
        assert [word.word for word in self.SAID.words] == ["one", "&", "one"]

    def test_subtitles(self) -> None:
        """A subtitle lasts as long as its words."""
        assert self.SAID.srt() == "1\n00:00:00,500 --> 00:00:02,000\none & one\n"

    def test_highlighted(self) -> None:
        """A subtitle for each word, until the next one begins; only the text is escaped."""
        assert self.SAID.srt(highlight=True) == (
            "1\n00:00:00,500 --> 00:00:01,000\n<u>one</u> & one\n\n"
            "2\n00:00:01,000 --> 00:00:01,500\none <u>&</u> one\n\n"
            "3\n00:00:01,500 --> 00:00:02,000\none & <u>one</u>\n"
        )
        assert "one <u>&amp;</u> one\n" in self.SAID.vtt(highlight=True)


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
