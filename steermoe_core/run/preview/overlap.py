"""What is trained on and scored as well: the same recording with the same question, text or speaker."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import attrs
import numpy as np

from steermoe_core.data.audio.beginnings import NONE, known, number, places
from steermoe_core.data.audio.waveform import begin_alike, fingerprints
from steermoe_core.data.examples import Examples
from steermoe_core.data.split import normalise_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from steermoe_core.data.audio.stored import Audio
    from steermoe_core.data.example import Example
    from steermoe_core.run.console import Console

#: Clips whose durations differ by less may be the same; tables round.
_TOLERANCE = 0.05


@attrs.frozen(kw_only=True)
class Overlap:
    """What of a set that is scored is trained on too, as ids of its clips.

    :param clips: how many there are.
    :param trained: their recording was trained on with their question; one without a question of its own, in
        either set, is its recording.
    :param audio: their recording was trained on, with any question.
    :param texts: their text was trained on, with their question, on any recording.
    :param clusters: speakers or groups (not ids) of both sets.
    """

    clips: int
    trained: list[str]
    audio: list[str]
    texts: list[str]
    clusters: list[str]


def overlap(
    trained: Sequence[Example], scored: Mapping[str, Sequence[Example]], console: Console
) -> dict[str, Overlap]:
    """Return for each set that is scored what of it is trained on too.

    Recordings are the same where their samples are, whatever they are stored in. Texts and questions are
    compared without regard to case and punctuation.
    """
    old = Examples.of(trained)
    new = {name: Examples.of(examples) for name, examples in scored.items()}
    speakers = set(old.values("cluster")) - {None}
    prints, asked = _compared(old, Examples.joined(list(new.values())), console) if new else ({}, {})
    texts = _texts(old)
    found = {}
    for name, examples in new.items():
        heard = [(e.id, _question(e), asked[prints[e.audio]]) for e in examples if e.audio in prints]
        said = _texts(examples)
        found[name] = Overlap(
            clips=len(examples),
            trained=[i for i, own, others in heard if not own or others & {own, ""}],
            audio=[i for i, *_ in heard],
            texts=list(examples.take(np.isin(said, texts) & (said != 0)).values("id")),
            clusters=sorted(speakers.intersection(examples.values("cluster"))),
        )
    return found


def _question(example: Example) -> str:
    return normalise_text(example.prompt or "")


def _texts(examples: Examples) -> NDArray[np.uint64]:
    """Return a hash of each example's text with its question (n,); 0 where there is no text."""

    def hashed(texts: Sequence[str], prompts: Sequence[str | None]) -> Iterator[int]:
        for text, prompt in zip(texts, prompts, strict=True):
            said = normalise_text(f"{prompt or ''} {text}") if text else ""
            yield number(said.encode("utf-8", "surrogatepass")) if said else 0

    return examples.derived("normalised text", ["text", "prompt"], hashed, "uint64")


def _compared(old: Examples, new: Examples, console: Console) -> tuple[dict[Audio, str], dict[str, set[str]]]:
    """Return the recordings that are in both sets, and the questions on each that is trained on.

    Compared are lengths, then beginnings, then all samples.

    :returns: a fingerprint of each, under each of its places; and the questions by fingerprint.
    """
    old, new = old.take(old.seconds > 0.0), new.take(new.seconds > 0.0)
    lengths = _lengths(old), _lengths(new)
    old, new = old.take(_near(*lengths)), new.take(_near(*reversed(lengths)))
    with console.progress() as progress:
        task = progress.add_task("comparing sounds", total=None, note="")
        begins = [_beginnings(one, partial(progress.update, task)) for one in (old, new)]
        same = np.setdiff1d(np.intersect1d(begins[0], begins[1]), [NONE])
        old, new = (one.take(np.isin(print_, same)) for one, print_ in zip((old, new), begins, strict=True))
        clips = [list(dict.fromkeys(one.values("audio"))) for one in (old, new)]
        every = list(dict.fromkeys(chain.from_iterable(clips)))
        progress.update(task, total=len(every), completed=0)
        prints: dict[Audio, str] = {}
        for clip, mark in zip(every, fingerprints(every), strict=True):
            if mark is not None:
                prints[clip] = mark
            progress.advance(task)
    shared = set.intersection(*({prints[clip] for clip in one if clip in prints} for one in clips))
    prints = {clip: mark for clip, mark in prints.items() if mark in shared}
    asked: dict[str, set[str]] = {}
    for example in old:
        if example.audio in prints:
            asked.setdefault(prints[example.audio], set()).add(_question(example))
    return prints, asked


def _lengths(examples: Examples) -> NDArray[np.int64]:
    """Return the length of each recording (n,) in steps of the tolerance."""
    return np.rint(examples.seconds * examples.speeds / _TOLERANCE).astype(np.int64)


def _near(lengths: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which lengths differ by no more than a step from one of the others."""
    others = np.unique(others)
    return np.isin(lengths, np.concatenate([others - 1, others, others + 1]))


def _beginnings(examples: Examples, progressed: Callable[..., None]) -> NDArray[np.uint64]:
    """Return a print of how each recording begins (n,): those that are kept, else from its samples."""
    where = examples.derived("address", ["address"], places, "uint64")
    prints = known(where, examples.values("file"))
    unknown = np.flatnonzero(prints == NONE)
    missing = examples.take(unknown)
    clips = list(dict.fromkeys(missing.values("audio")))
    progressed(total=len(clips), completed=0)
    found = {}
    for clip, print_ in zip(clips, begin_alike(clips), strict=True):
        found[clip] = print_
        progressed(advance=1)
    prints[unknown] = np.array([found[clip] for clip in missing.values("audio")], np.uint64)
    return prints
