"""One model in a thread of its own: recordings that wait at the same time are transcribed together."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

import attrs

from steermoe_core import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from steermoe_core import Transcript


class Model(Protocol):
    """What the batches need of a `Transcriber`."""

    def transcripts(
        self,
        sounds: Iterable[Path],
        prompt: str | None = None,
        *,
        longest: float | None = None,
        words: bool = False,
    ) -> Iterator[Transcript | DataError]:
        """Yield the transcript of each sound, or what is wrong with it."""


class FullError(Exception):
    """Too many recordings are waiting."""


@attrs.frozen(eq=False)
class _Job:
    """A recording that waits.

    :param seconds: its length, so that short recordings do not wait for long ones of the same batch.
    """

    file: Path
    seconds: float
    prompt: str | None
    words: bool
    future: Future[Transcript]


class Batching:
    """Transcribes recordings as they come.

    :param longest: longest segment in seconds, as `Transcriber.transcripts` takes it.
    :param most: recordings that may wait.
    """

    def __init__(self, model: Model, longest: float | None = None, most: int = 256) -> None:
        self._model = model
        self._longest = longest
        self._most = most
        self._waiting: queue.Queue[_Job] = queue.Queue()
        threading.Thread(target=self._work, name="steermoe-serve", daemon=True).start()

    def submit(
        self, file: Path, seconds: float, prompt: str | None, *, words: bool = False
    ) -> Future[Transcript]:
        """Return the future transcript of a recording; a cancelled one that still waits is skipped.

        :raises FullError: too many recordings are waiting.
        """
        if self._waiting.qsize() >= self._most:
            raise FullError
        job = _Job(file, seconds, prompt, words, Future())
        self._waiting.put(job)
        return job.future

    def _work(self) -> None:
        while True:
            jobs = [self._waiting.get()]
            while not self._waiting.empty():
                jobs.append(self._waiting.get())
            jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            for wanted in dict.fromkeys((job.prompt, job.words) for job in jobs):
                alike = [job for job in jobs if (job.prompt, job.words) == wanted]
                self._transcribe(sorted(alike, key=lambda job: job.seconds), *wanted)

    def _transcribe(self, jobs: Sequence[_Job], prompt: str | None, words: bool) -> None:  # noqa: FBT001
        """Settle the future of every job, whatever happens: a client waits for each."""
        try:
            files = [job.file for job in jobs]
            found = self._model.transcripts(files, prompt, longest=self._longest, words=words)
            for job, transcript in zip(jobs, found, strict=True):
                if isinstance(transcript, DataError):
                    job.future.set_exception(transcript)
                else:
                    job.future.set_result(transcript)
        except Exception as error:  # noqa: BLE001 - the clients get it, and the next batch its chance
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(error)
