"""Outputs of a model with their time, and scores of outputs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import attrs

from steermoe_core import DataError, Prediction, score
from steermoe_leaderboard import manifest
from steermoe_leaderboard.clips import RATE, padded
from steermoe_leaderboard.manifest import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from steermoe_core import Metric, Transcript
    from steermoe_leaderboard.clips import Clip
    from steermoe_leaderboard.sets import EvalSet

    Pair = tuple[NDArray[np.float32], int]

#: Batches that are decoded to waveforms, and then timed, together; the model sorts them by length.
_WINDOW = 4


class Model(Protocol):
    """What is needed of a `Transcriber`."""

    def transcripts(self, sounds: Iterable[Pair]) -> Iterator[Transcript | DataError]:
        """Yield the transcript of each waveform, which comes with its rate."""


@attrs.frozen(kw_only=True)
class SetScore:
    """The figures of a set.

    :param set: its name.
    :param clips: clips that were scored.
    :param references: sessions, or clips where there are none.
    :param wer: in percent, two decimals, as the leaderboard rounds it.
    :param low: lower end of its 95 % interval; None where a single reference has no variance.
    :param high: upper end.
    :param substitutions: wrong words.
    :param deletions: missing words.
    :param insertions: additional words.
    :param audio_seconds: of all clips.
    :param seconds: that transcribing them took.
    :param rtfx: seconds of audio a second, four decimals.
    """

    set: str
    clips: int
    references: int
    wer: float
    low: float | None
    high: float | None
    substitutions: int
    deletions: int
    insertions: int
    audio_seconds: float
    seconds: float
    rtfx: float


def transcribed(
    model: Model,
    clips: Sequence[Clip],
    *,
    batch_size: int,
    warm_up: int,
    progressed: Callable[[float], None] = lambda _: None,
) -> list[Line]:
    """Return the outputs for clips, the longest first.

    Features, both towers and decoding to text are timed; reading and resampling a clip are not.

    :param warm_up: batches that are transcribed before, without being timed.
    :param progressed: called with the seconds of audio that are done.
    """
    ordered = sorted(clips, key=lambda clip: clip.seconds, reverse=True)
    size = _WINDOW * batch_size
    for window in _windows(ordered[: warm_up * batch_size], size):
        _texts(model, [padded(clip.waveform()) for clip in window])
    lines: list[Line] = []
    for window in _windows(ordered, size):
        waves = [clip.waveform() for clip in window]
        sounds = [padded(wave) for wave in waves]
        begun = time.perf_counter()
        texts = _texts(model, sounds)
        each = (time.perf_counter() - begun) / len(window)
        for clip, wave, text in zip(window, waves, texts, strict=True):
            lines.append(
                Line(
                    audio_filepath=clip.name or f"sample_{len(lines)}",
                    duration=len(wave) / RATE,
                    time=each,
                    text=clip.text,
                    pred_text=text,
                    parent_id=clip.parent,
                    chunk_index=clip.chunk,
                )
            )
        progressed(sum(clip.seconds for clip in window))
    return lines


def scored(one: EvalSet, lines: Sequence[Line], metric: Metric) -> SetScore:
    """Return the figures of a manifest.

    :raises DataError: no reference has a word.
    """
    merged = manifest.sessions(lines)
    found = score(metric, [_prediction(str(number), line) for number, line in enumerate(merged)])
    if found.value is None or found.edits is None:
        msg = f"{one.name}: no reference has a word, so there is nothing to score"
        raise DataError(msg)
    audio, seconds = (sum(getattr(line, name) for line in merged) for name in ("duration", "time"))
    return SetScore(
        set=one.name,
        clips=len(lines),
        references=len(merged),
        wer=_percent(found.value),
        low=_percent(found.interval.low) if found.interval else None,
        high=_percent(found.interval.high) if found.interval else None,
        substitutions=found.edits.substitutions,
        deletions=found.edits.deletions,
        insertions=found.edits.insertions,
        audio_seconds=audio,
        seconds=seconds,
        rtfx=round(audio / seconds, 4),
    )


def _windows(clips: Sequence[Clip], size: int) -> Iterator[Sequence[Clip]]:
    for start in range(0, len(clips), size):
        yield clips[start : start + size]


def _texts(model: Model, waves: Sequence[NDArray[np.float32]]) -> list[str]:
    texts = []
    for found in model.transcripts([(wave, RATE) for wave in waves]):
        if isinstance(found, DataError):
            raise found
        texts.append(found.text)
    return texts


def _prediction(name: str, line: Line) -> Prediction:
    return Prediction(
        id=name, reference=line.text, hypothesis=line.pred_text, seconds=line.duration, tokens=0, stop="eos"
    )


def _percent(rate: float) -> float:
    return round(100 * rate, 2)
