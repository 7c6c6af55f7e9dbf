"""Written English with a large vocabulary: WordNet's examples and definitions, and fortune cookies.

Debian carries them (`wordnet-base`, `fortunes`, `fortunes-min`). A sentence is kept if a synthetic voice can
be trusted to read it: no digits, abbreviations, foreign or rare words.
"""

from __future__ import annotations

import functools
import math
import random
import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import attrs

from steermoe_core import cache_folder
from steermoe_core.data.split import normalise_text
from steermoe_pocket import cache, debian
from steermoe_pocket.sentences import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_VERSION = 2
_WORDNET, _FORTUNES = "usr/share/wordnet", "usr/share/games/fortunes"
_COOKIES = (
    *("cookie", "education", "food", "fortunes", "goedel", "humorists", "law", "literature", "love"),
    *("medicine", "miscellaneous", "news", "paradoxum", "people", "pets", "platitudes", "politics"),
    *("riddles", "science", "sports", "startrek", "tao", "wisdom", "work"),
)
#: Words of a sentence, at least and at most: clips of one to eight seconds.
_WORDS = range(4, 23)
_PLAIN = re.compile(r"[A-Z][A-Za-z ,;:'-]*")
#: A single letter that is no word, or capitals that are read as letters.
_SPELT = re.compile(r"\b(?<!')(?!a\b|o\b)[a-z]\b|[A-Z]{2,}|\b(?!A\b|I\b|O\b)[A-Z]\b")
#: Columns next to each other.
_TABLE = re.compile(r"\S(\t| {3,})\S")
#: A word outside the common ones is kept if it comes this often, and is common if it comes that often.
_KNOWN, _COMMON = 3, 30
#: Of so many random sentences with a word, the one whose words came least is taken.
_CHOICES = 8


@attrs.frozen
class _Sentence:
    text: str
    words: list[str]


def texts(seed: str, kind: str) -> Iterator[str]:
    """Yield sentences without end, as they are written: one with each common word, then again in other order.

    :param kind: WordNet's "definitions", or its "examples" with the cookies.
    :raises SetupError: a Debian package cannot be downloaded.
    """
    chance = random.Random(f"{seed} {kind}")  # noqa: S311  # no secret
    having, common = _having(kind), _common()
    heard: Counter[str] = Counter()

    def news(sentence: _Sentence) -> float:
        """Prefer words that came seldom so far, and not all too much long sentences."""
        rarity = sum(1 / (1 + heard[word]) for word in sentence.words if word in common)
        return rarity / math.sqrt(len(sentence.words))

    while True:
        for word in chance.sample(list(having), len(having)):
            best = max(chance.choices(having[word], k=_CHOICES), key=news)
            heard.update(best.words)
            yield best.text


@functools.cache
def _having(kind: str) -> Mapping[str, Sequence[_Sentence]]:
    """Return the sentences that have each of the common words."""
    found: dict[str, list[_Sentence]] = {word: [] for word in sorted(_common())}
    for sentence in _sentences(kind):
        for word in found.keys() & sentence.words:
            found[word].append(sentence)
    return {word: sentences for word, sentences in found.items() if sentences}


@functools.cache
def _sentences(kind: str) -> list[_Sentence]:
    """Return the usable sentences, "examples" or "definitions", collected now if the cache has none."""
    folder = cache.made_once(cache_folder() / "texts" / f"corpus-{_VERSION}", _collect)
    rows = (line.split("\t") for line in (folder / f"{kind}.tsv").read_text("utf-8").splitlines())
    return [_Sentence(text, words.split()) for text, words in rows]


def _collect(folder: Path) -> None:
    cookies = (debian.unpacked(package) / _FORTUNES for package in ("fortunes-min", "fortunes"))
    found = {"examples": chain(_glosses(1), *map(_sayings, cookies)), "definitions": _glosses(0)}
    for kind, texts in found.items():
        lines = [f"{sentence.text}\t{' '.join(sentence.words)}\n" for sentence in _usable(texts)]
        (folder / f"{kind}.tsv").write_text("".join(lines), "utf-8")


@functools.cache
def _common() -> set[str]:
    """Return the words that every voice should read sooner or later."""
    count = Counter(word for sentence in _sentences("examples") for word in sentence.words)
    return {word for word, times in count.items() if times >= _COMMON}.union(vocabulary())


def _usable(texts: Iterable[str]) -> list[_Sentence]:
    """Return the plain sentences, each once, without those that are short, long or have a rare word."""
    plain = dict.fromkeys(filter(None, map(_plain, texts)))
    sentences = [_Sentence(text, normalise_text(text).split()) for text in plain]
    count = Counter(word for sentence in sentences for word in sentence.words)
    known = {word for word, times in count.items() if times >= _KNOWN}.union(vocabulary())
    return [found for found in sentences if len(found.words) in _WORDS and known.issuperset(found.words)]


def _glosses(quoted: int) -> Iterator[str]:
    """Yield what WordNet's glosses have in quotes (1), or outside them (0)."""
    for kind in ("noun", "verb", "adj", "adv"):
        file = debian.unpacked("wordnet-base") / _WORDNET / f"data.{kind}"
        for line in _titled(file.read_text("ascii", "replace")).splitlines():
            for piece in line.partition("| ")[2].split('"')[quoted::2]:
                yield from [piece] if quoted else piece.split(";")


def _sayings(folder: Path) -> Iterator[str]:
    """Yield the sentences of fortune cookies, without their authors."""
    for file in (folder / name for name in _COOKIES if (folder / name).is_file()):
        for cookie in _titled(file.read_text("utf-8", "replace")).split("\n%\n"):
            said = re.split(r"\n\s*--", cookie)[0]
            if not _TABLE.search(said):
                yield from re.split(r'(?<=[.!?])["\')]*\s+', " ".join(said.split()))


def _titled(text: str) -> str:
    return text.replace("Mr.", "Mister").replace("Dr.", "Doctor")


def _plain(text: str) -> str | None:
    """Return the text with a capital and an end, or None if it is not plain English."""
    bare = text.strip(" \"'")
    body = bare.rstrip(".!?,;: ")
    shown = body[:1].upper() + body[1:]
    if not _PLAIN.fullmatch(shown) or "--" in shown or _SPELT.search(shown):
        return None
    return shown + (bare[-1] if bare[-1] in "!?" else ".")
