"""The clips of a set, from the hub or from a folder of parquet files."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from steermoe_core import DataError, SetupError, SteermoeError, StoredAudio, durations, read_audio, resample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from steermoe_core import Example, Session
    from steermoe_leaderboard.sets import EvalSet

#: Samples a second to which the leaderboard resamples every clip before it is timed.
RATE = 16_000
#: Columns of the chunks of a session.
PARENT, CHUNK = "parent_id", "chunk_index"
#: A reference that says that the clip is not scored, in its compared form; so does an empty one.
_IGNORED = "ignore time segment in scoring"
#: Shortest waveform in samples that a model is given; shorter ones are padded with silence.
_LEAST = RATE // 10
#: Columns of a transcript, the first that is present.
_TEXTS = ("text", "raw_transcription", "sentence", "normalized_text", "transcript", "transcription")


@attrs.frozen(kw_only=True)
class Clip:
    """One clip with its reference.

    :param name: of its file; empty if it has none.
    :param text: the reference, that of the whole session for a chunk.
    :param parent: session of a chunk.
    :param chunk: its place in the session, from 0.
    """

    name: str
    audio: Path | StoredAudio
    text: str
    seconds: float
    parent: str | None = None
    chunk: int | None = None

    def waveform(self) -> NDArray[np.float32]:
        """Return the samples (samples,) at `RATE`."""
        if isinstance(self.audio, Path):
            return read_audio(self.audio, RATE)
        channels, rate = self.audio.samples()
        return resample(channels.mean(axis=1), rate, RATE)


def padded(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a waveform that is long enough for any encoder."""
    return np.pad(waveform, (0, max(0, _LEAST - len(waveform))))


def local(one: EvalSet, data: Path, session: Session) -> list[Clip]:
    """Return the clips of a set in a folder of parquet files.

    :raises DataError: there is no such folder, or a column is missing.
    """
    folder = data / one.name
    if not folder.is_dir():
        msg = (
            f"{folder}: there is no such folder; put the parquet files of {one.name} there, or choose sets "
            "with --only"
        )
        raise DataError(msg)
    return _checked(one, _read(one, session, "parquet", path=folder))


def fetched(one: EvalSet, revision: str, session: Session) -> list[Clip]:
    """Return the clips of a set on the hub.

    :param revision: commit of its dataset; empty: the newest, or the one in the hub's cache.
    :raises SetupError: the hub did not give it.
    """
    if one.sessions:
        return _checked(one, list(_chunks(one, revision)))
    where = {"path": one.repo, "name": one.config, "split": one.split, "revision": revision}
    return _checked(one, _read(one, session, "hub", **where))


def newest(repo: str) -> str:
    """Return the newest commit of a dataset on the hub; empty if the hub does not answer."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(repo).sha or ""
    except Exception:  # noqa: BLE001 - whoever reads the dataset meets the same error and reports it
        return ""


def scored(one: EvalSet, clips: Sequence[Clip], normalise: Callable[[str], str]) -> list[Clip]:
    """Return the clips that the leaderboard scores: all whose reference, as it is compared, has a word.

    :raises DataError: there are none.
    """
    forms = {text: normalise(text).strip() for text in {clip.text for clip in clips}}
    kept = [clip for clip in clips if forms[clip.text] not in {"", _IGNORED}]
    if not kept:
        msg = f"{one.name}: no reference has a word, so there is nothing to score"
        raise DataError(msg)
    return kept


def component(session: Session, kind: str, name: str, /, **settings: Any) -> Any:
    """Return a component of this installation with some settings."""
    config = session.registry.get(kind, name).config_class()(**settings)
    return session.registry.factory(kind, name)(config)


def _read(one: EvalSet, session: Session, source: str, **where: Any) -> list[Clip]:
    """Return the rows that one of steermoe's sources reads."""
    labels = [*([one.id] if one.id else []), *([PARENT, CHUNK] if one.sessions else [])]
    examples = component(session, "dataset", source, text_column=one.text, label_columns=labels, **where)
    return [_clip(one, example) for example in examples]


def _clip(one: EvalSet, example: Example) -> Clip:
    clip = Clip(
        name=PurePosixPath(example.labels.get(one.id, "")).name,
        audio=example.audio,
        text=example.text,
        seconds=example.seconds,
    )
    if not one.sessions:
        return clip
    parent, chunk = (example.labels.get(key, "") for key in (PARENT, CHUNK))
    return attrs.evolve(clip, parent=parent, chunk=_number(example.audio, chunk))


def _number(place: object, text: str) -> int:
    if not text.isdecimal():
        msg = f"{place}: {CHUNK} must be the number of the chunk in its session, is {text!r}"
        raise DataError(msg)
    return int(text)


def _chunks(one: EvalSet, revision: str) -> Iterator[Clip]:
    """Yield the chunks of sessions: the dataset lists them, its folder `audio` has them, another the texts.

    :raises SetupError: the hub did not give them.
    :raises DataError: a session has no reference, or a column is missing.
    """
    from datasets import load_dataset
    from huggingface_hub import snapshot_download

    try:
        rows = load_dataset(one.repo, split=one.split, revision=revision or None)
        parents = load_dataset(one.sessions, split=one.split)
        names = _present(one.repo, (PARENT, CHUNK, one.id), rows.column_names)
        key, text = _present(
            one.sessions,
            ("id", next((c for c in _TEXTS if c in parents.column_names), "text")),
            parents.column_names,
        )
        texts = {row[key]: row[text] for row in parents.select_columns([key, text])}
        folder = snapshot_download(
            one.repo, repo_type="dataset", revision=revision or None, allow_patterns=["audio/*"]
        )
    except SteermoeError:
        raise
    except Exception as error:  # of datasets, the hub's client and its transport
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        msg = f"{one.name} is not available from the hub ({reason}); with a copy on this machine use --data"
        raise SetupError(msg) from error
    found = list(rows.select_columns(names))
    if alone := sorted({row[PARENT] for row in found} - texts.keys()):
        msg = f"{one.sessions} has no reference for session {alone[0]!r} of {one.repo}; fetch both again"
        raise DataError(msg)
    files = [Path(folder, "audio", row[one.id]) for row in found]
    for row, file, seconds in zip(found, files, durations(files), strict=True):
        yield Clip(
            name=file.name,
            audio=file,
            text=texts[row[PARENT]],
            seconds=seconds,
            parent=str(row[PARENT]),
            chunk=_number(file, str(row[CHUNK])),
        )


def _present(place: str, names: Sequence[str], columns: Sequence[str]) -> list[str]:
    if missing := [name for name in names if name not in columns]:
        msg = f"{place}: there is no column {missing[0]!r}; its columns are {', '.join(columns)}"
        raise DataError(msg)
    return list(names)


def _checked(one: EvalSet, clips: list[Clip]) -> list[Clip]:
    """Return the clips if all can be read and no chunk of a session is missing.

    :raises DataError: with the first that is.
    """
    bad = [clip for clip in clips if math.isnan(clip.seconds)]
    if bad:
        msg = (
            f"{len(bad)} of {len(clips)} clips of {one.name} cannot be read, such as {bad[0].audio}; "
            "fetch the set again"
        )
        raise DataError(msg)
    chunks: dict[str, list[int]] = defaultdict(list)
    for clip in clips:
        if clip.parent is not None and clip.chunk is not None:
            chunks[clip.parent].append(clip.chunk)
    for parent, numbers in chunks.items():
        if sorted(numbers) != list(range(len(numbers))):
            have = ", ".join(map(str, sorted(numbers)))
            msg = f"{one.name}: session {parent!r} has chunks {have}, some are missing; fetch the set again"
            raise DataError(msg)
    return clips
