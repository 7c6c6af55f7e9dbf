"""What a model does with a recording, as HTML: its transcript with routing, or its answer to a question."""

from __future__ import annotations

import logging
import math
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from steermoe_core import DataError, SteermoeError, durations, read_audio
from steermoe_demo.picture import clock, picture
from steermoe_demo.routing import routing

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core import Transcriber

_log = logging.getLogger(__name__)
#: Minutes of the longest recording that the page takes.
LONGEST = 30


def transcribed(model: Transcriber, file: Path, progressed: Callable[[float], None]) -> str:
    """Return the transcript of a recording, its waveform and its routing, or what is wrong with it.

    :param progressed: called with the seconds of audio that were transcribed since the last call.
    """

    def content() -> dict[str, Any]:
        began = time.perf_counter()
        (transcript,) = model.transcripts([file], progressed=progressed)
        if isinstance(transcript, DataError):
            raise transcript
        took, rate = time.perf_counter() - began, model.model.encoder.sample_rate
        waveform = read_audio(file, rate)
        layers = routing(model, waveform, transcript.segments)
        return {
            "transcript": transcript,
            "took": took,
            "limited": sum(segment.stop == "limit" for segment in transcript.segments),
            "picture": picture(waveform, rate, transcript.segments, layers),
        }

    return _panel(file, content)


def answered(model: Transcriber, file: Path, question: str) -> str:
    """Return the answer to a question about a recording, or what is wrong with either."""
    return _panel(file, lambda: {"question": question, "answer": model.ask(file, question)})


def checked(file: str | None) -> tuple[Path, float]:
    """Return the path of a recording and its seconds; nan where its header does not state them.

    :raises DataError: there is none, or it is longer than the page takes.
    """
    if not file:
        msg = "Choose a file or record one first"
        raise DataError(msg)
    path = Path(file)
    (seconds,) = durations([path])
    if seconds > 60 * LONGEST:
        msg = (
            f"{path.name} lasts {math.ceil(seconds / 60)} minutes; this page takes {LONGEST}: use "
            "`steermoe transcribe` for it"
        )
        raise DataError(msg)
    return path, seconds


def failure(sentence: str) -> str:
    """Return a panel that says what went wrong."""
    return _template().render(failure=sentence)


def _panel(file: Path, content: Callable[[], dict[str, Any]]) -> str:
    """Render a panel; an error becomes its sentence, with the file's own name in place of where it lies."""
    try:
        return _template().render(failure=None, **content())
    except SteermoeError as error:
        return failure(str(error).replace(str(file), file.name))
    except Exception as error:  # noqa: BLE001 - a bug is this panel's, not the page's
        _log.exception("a model failed")
        return failure(f"The model failed ({type(error).__name__}); the terminal has the details")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    return environment.get_template("panel.html")
