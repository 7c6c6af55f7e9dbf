"""Use a trained run: three lines from a file to a text, or to an answer.

    import steermoe_core
    model = steermoe_core.load("runs/whisper-layer-wise-1a2b3c4d")
    print(model.transcribe("speech.wav"))

What it needs is the folder, ``hub:OWNER/NAME`` or the name of an adapter that a plugin brings, and the frozen
parts that it was trained on.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, overload

import torch

from steermoe_core.config.resolve import resolve_model
from steermoe_core.data.audio.recordings import is_sound, open_sounds
from steermoe_core.data.audio.segments import SHORTEST, Span, spans
from steermoe_core.data.audio.speech import SpeechDetector
from steermoe_core.data.config import CHAT, PROMPT_SLOT
from steermoe_core.errors import DataError, UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import ModelBuilder
from steermoe_core.run.assembly.device import move
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.folder import adapter
from steermoe_core.run.folder.hub import adapter_folder
from steermoe_core.use.answering import Answering, Wanted
from steermoe_core.use.transcript import Segment, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from steermoe_core.data.audio.recordings import Recording, Sound, Waves
    from steermoe_core.plugins import Registry

T = TypeVar("T")

#: Shortest sound in seconds: one window of the features that encoders look at.
BRIEFEST = 0.025
#: Longest sound in seconds that is left whole where the encoder has no limit of its own.
LONGEST = 30.0
#: Spans that are sorted by length together, as a multiple of those that are generated together; a text can be
#: told when all of its sound's are done.
_WINDOW = 4


class Transcriber:
    """A trained model that turns sound into text.

    :param source: a run folder, an adapter folder on its own, ``hub:OWNER/NAME[@REVISION]``, or the name of
        an adapter that a plugin brings, such as ``pocket/asr``.
    :param device: where it computes; `auto` takes a GPU where there is one.
    :param batch_size: spans that are answered together, in place of the experiment's; texts stay the same.
    :ivar folder: the adapter folder, on this machine.
    :ivar model: encoder, adapters, projector and decoder together.
    :raises UsageError: it is none of these.
    :raises SetupError: the hub did not give it, or there is no such device.
    :raises CheckpointError: the frozen parts on this machine are not those it was trained on.
    """

    def __init__(
        self, source: str | Path, registry: Registry, device: str = "auto", batch_size: int | None = None
    ) -> None:
        folder = self.folder = adapter_folder(source, registry)
        self.source = str(source)
        self.experiment = resolve_model(folder / "experiment.toml", registry)
        self.builder = ModelBuilder(self.experiment, registry)
        with placed(self.experiment, folder / "experiment.toml"):
            self.model = self.builder.model()
            adapter.load(folder, self.model, adapter.identity(self.model))
            move(self.model, device)
            if self.model.decoder.embeddings.dtype == torch.float32:  # half precision would round the sums
                self.model.adapters.merge()
            self.collator = self.builder.collator(self.model)
        config = self.experiment.evaluate.together(batch_size)
        self._model = Answering(self.model, self.collator, config)
        self._detector: SpeechDetector | None = None

    @overload
    def transcribe(  # type: ignore[overload-overlap] # a path is a list of letters too
        self, sounds: Sound, prompt: str | None = None, *, rate: int | None = None
    ) -> str: ...

    @overload
    def transcribe(
        self, sounds: Iterable[Sound], prompt: str | None = None, *, rate: int | None = None
    ) -> list[str]: ...

    def transcribe(
        self, sounds: Sound | Iterable[Sound], prompt: str | None = None, *, rate: int | None = None
    ) -> str | list[str]:
        """Return the text of a sound, or a list with that of each of several.

        A sound that is longer than the encoder takes is cut at its pauses.

        :param sounds: a recording of any length, or a list of recordings. Each is the path of a sound file,
            a waveform (one channel of floats, full scale at ±1), a pair of a waveform and its samples a
            second, the bytes of a sound file, or a file opened for reading bytes.
        :param prompt: what to ask of each sound, in place of the collator's own prompt.
        :param rate: samples a second of waveforms that come without theirs; the encoder's own by default.
        :raises DataError: a sound cannot be read.
        :raises UsageError: what is given is no sound, or there is a prompt, and the template has no place for
            one.
        """
        texts = [_good(found).text for found in self.transcripts(sounds, prompt, rate=rate)]
        return texts[0] if is_sound(sounds) else texts

    def segments(
        self,
        sound: Sound,
        prompt: str | None = None,
        *,
        rate: int | None = None,
        longest: float | None = None,
        words: bool = False,
        hotwords: Sequence[str] = (),
        vad: bool = False,
    ) -> list[Segment]:
        """Return the text of a sound span by span, with times.

        :param words: find the times of words, too.
        :param hotwords: words that may occur, put into the prompt; they replace only what sounds like them.
        :param vad: detect speech, write nothing where there is none, and cut in its pauses.
        :param longest: seconds that no span exceeds. By default a sound that the encoder takes is left whole
            (of 30 s, where it has no limit), and a longer one is cut as `[evaluate] segment` says.
        :raises DataError: it cannot be read.
        :raises UsageError: the spans are to be longer than the encoder takes, or shorter than 1 s; or the
            template has no place for hotwords.
        :raises SetupError: speech is to be detected, and silero-vad is not installed.
        """
        options: dict[str, Any] = {"words": words, "hotwords": hotwords, "vad": vad}
        (found,) = self.transcripts([sound], prompt, rate=rate, longest=longest, **options)
        return list(_good(found).segments)

    def ask(self, sound: Sound, question: str, *, rate: int | None = None) -> str:
        """Return the answer to a question about a sound.

        :raises DataError: it cannot be read, or is longer than the encoder takes.
        :raises UsageError: the template has no place for a question.
        """
        (found,) = self.answers([sound], [question], rate=rate)
        return _good(found)[0].text

    def transcripts(
        self,
        sounds: Sound | Iterable[Sound],
        prompt: str | None = None,
        *,
        rate: int | None = None,
        longest: float | None = None,
        words: bool = False,
        hotwords: Sequence[str] = (),
        vad: bool = False,
        progressed: Callable[[float], None] = lambda _: None,
    ) -> Iterator[Transcript | DataError]:
        """Yield each sound's transcript when it is complete, in their order, or what is wrong with the sound.

        Spans of several sounds are written down together.

        :param longest: as the other options, see `segments`.
        :param progressed: told of the seconds that were written down.
        """
        limits = self._limits(longest)
        if prompt is not None or hotwords:
            self._check_slot()
        wanted = Wanted(prompt=prompt, hotwords=tuple(hotwords), words=words)
        detector = self._speech_detector() if vad else None
        heard = (
            one
            for sound in open_sounds(sounds, self._rate(rate))
            for one in self._heard(sound, *limits, detector)
        )
        done: list[Segment] = []
        together = self._model.together(self.model.encoder.max_seconds or LONGEST)
        while window := list(islice(heard, _WINDOW * together)):
            usable = [one for one in window if isinstance(one, Span)]
            written = self._model.transcribed(usable, wanted, progressed)
            for one in window:
                if isinstance(one, DataError):
                    yield one
                else:
                    done.append(next(written))
                    if not one.last:
                        continue
                    yield Transcript(done)
                done = []

    def answers(
        self, sounds: Sound | Iterable[Sound], questions: Sequence[str], *, rate: int | None = None
    ) -> Iterator[list[Segment] | DataError]:
        """Yield each sound's answers in the order of the questions, or what is wrong with the sound."""
        self._check_slot()
        for sound in open_sounds(sounds, self._rate(rate)):
            try:
                yield self._model.answered(self._whole(sound), questions)
            except DataError as error:
                yield error

    def _speech_detector(self) -> SpeechDetector:
        self._detector = self._detector or SpeechDetector(self.model.encoder.sample_rate)
        return self._detector

    def _heard(
        self, sound: Recording | Waves, longest: float, whole: float, detector: SpeechDetector | None
    ) -> Iterator[Span | DataError]:
        """Yield the spans of a sound, or an error in place of the rest of it."""
        rate = self.model.encoder.sample_rate
        try:
            for span in spans(sound.blocks(rate), rate, longest, whole, detector):
                self._check_length(sound.name, span)
                yield span
        except DataError as error:
            yield error

    def _whole(self, sound: Recording | Waves) -> Span:
        """Return a sound of which nothing may be cut off.

        :raises DataError: it cannot be read, or is longer than the encoder takes.
        """
        encoder = self.model.encoder
        most = encoder.max_seconds or math.inf
        heard = list(islice(spans(sound.blocks(encoder.sample_rate), encoder.sample_rate, most), 1))
        if not heard[0].last:
            msg = f"{sound.name} lasts more than {most:g} s, which is all that the encoder takes; cut it"
            raise DataError(msg)
        self._check_length(sound.name, heard[0])
        return heard[0]

    def _rate(self, rate: int | None) -> int:
        return self.model.encoder.sample_rate if rate is None else rate

    def _limits(self, longest: float | None) -> tuple[float, float]:
        """Return how long a span may be, and how long a sound that is left whole."""
        most = self.model.encoder.max_seconds or LONGEST
        if longest is None:
            return min(self.experiment.evaluate.segment or most, most), most
        if longest < SHORTEST or longest > (self.model.encoder.max_seconds or math.inf):
            msg = (
                f"segments of {longest:g} s: they may last {SHORTEST:g} s at least, and no longer than the "
                f"{most:g} s that the encoder takes"
            )
            raise UsageError(msg)
        return longest, longest

    def _check_length(self, name: str, span: Span) -> None:
        seconds = len(span.waveform) / self.model.encoder.sample_rate
        if seconds < BRIEFEST or self.model.encoder.frames(len(span.waveform)) < 1:
            msg = f"{name} lasts {1000 * seconds:.3g} ms, which is too short to hear anything in it"
            raise DataError(msg)

    def _check_slot(self) -> None:
        template = getattr(self.experiment.collator.config, "template", CHAT)
        if template != CHAT and PROMPT_SLOT not in template:
            msg = (
                f"{self.source} takes no question: its collator.template {template!r} has no slot "
                f"{PROMPT_SLOT}; train a run whose template has one"
            )
            raise UsageError(msg)


def _good(found: T | DataError) -> T:
    if isinstance(found, DataError):
        raise found
    return found


def load(source: str | Path, device: str = "auto") -> Transcriber:
    """Return the trained model of a run or adapter folder, `hub:OWNER/NAME` or an adapter of a plugin."""
    return Transcriber(source, load_registry(), device)
