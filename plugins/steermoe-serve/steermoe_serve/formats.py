"""Transcripts in the response formats of the OpenAI API."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
from starlette.responses import JSONResponse, PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from steermoe_core import Transcript

#: Hundredths of a second: the unit of `seek`.
_SEEK = 100


def _json(transcript: Transcript, language: str | None) -> Response:  # noqa: ARG001 - one signature for all
    return JSONResponse({"text": transcript.text, "usage": _usage(transcript)})


def _verbose(transcript: Transcript, language: str | None) -> Response:
    """Return the segments too, and the words where they were asked for; what is not measured is null."""
    segments = [
        {
            "id": number,
            "seek": round(segment.start * _SEEK),
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
            "tokens": None,
            "temperature": 0.0,
            "avg_logprob": None,
            "compression_ratio": None,
            "no_speech_prob": None,
        }
        for number, segment in enumerate(transcript.segments)
    ]
    asked = any(segment.words is not None for segment in transcript.segments)
    words = {"words": [attrs.asdict(word) for word in transcript.words]} if asked else {}
    return JSONResponse(
        {
            "task": "transcribe",
            "language": language,
            "duration": transcript.seconds,
            "text": transcript.text,
            "segments": segments,
            **words,
            "usage": _usage(transcript),
        }
    )


def _usage(transcript: Transcript) -> dict[str, str | int]:
    return {"type": "duration", "seconds": math.ceil(transcript.seconds)}


#: The response of each `response_format`.
FORMATS: dict[str, Callable[[Transcript, str | None], Response]] = {
    "json": _json,
    "text": lambda transcript, _: PlainTextResponse(f"{transcript.text}\n"),
    "srt": lambda transcript, _: PlainTextResponse(transcript.srt()),
    "verbose_json": _verbose,
    "vtt": lambda transcript, _: PlainTextResponse(transcript.vtt()),
}
