"""Endless random sentences to be spoken by a synthetic voice, from `grammar.toml` and `words.txt`."""

from __future__ import annotations

import random
import re
from functools import cache
from importlib.resources import files
from itertools import repeat
from typing import TYPE_CHECKING

import attrs
import tomli

from steermoe_pocket.text import part, spell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_MIX = {"telephone": 0.45, "list": 0.2, "general": 0.35}
#: Shares of the texts that belong to the dev and test parts.
_HELD_OUT = {"dev": 0.02, "test": 0.05}
#: Chance that a word of a telephone sentence becomes a common word: templates must not be learnt by heart.
_SURPRISE = 0.25
#: Texts of up to this many words may come twice.
_SHORT = 2
#: So many of the most frequent words come so many times more than the others.
_TOP, _FREQUENT = 1000, 2


def sentences(seed: int) -> Iterator[str]:
    """Yield sentences without end: lower case, numbers in words, no sign but the apostrophe.

    Most belong to the train part; the same seed gives the same sentences.
    """
    writer = _Writer(random.Random(seed))  # noqa: S311  # no secret
    return divided(writer.sentence() for _ in repeat(None))


def divided(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts without long ones that came before, and with few of those that the law holds out."""
    count = dict.fromkeys(["train", *_HELD_OUT], 0)
    seen: set[str] = set()
    for text in texts:
        belongs = part(text)
        enough = belongs in _HELD_OUT and count[belongs] >= _HELD_OUT[belongs] * sum(count.values())
        if enough or (text in seen and len(text.split()) > _SHORT):
            continue
        seen.add(text)
        count[belongs] += 1
        yield text


@attrs.frozen
class _Writer:
    """Expands the grammar by one stream of random numbers."""

    random: random.Random
    deck: list[str] = attrs.field(factory=list)

    def sentence(self) -> str:
        (style,) = self.random.choices(list(_MIX), list(_MIX.values()))
        words = self._expand(style).split()
        if style == "telephone" and self.random.random() < _SURPRISE:
            words[self.random.randrange(len(words))] = self._word()
        return " ".join(words)

    def _expand(self, rule: str) -> str:
        made = {"word": self._word, "number": self._number, "few": self._few, "digits": self._digits}
        if rule in made:
            return made[rule]()
        phrase = self.random.choice(_grammar()[rule])
        return re.sub(r"\{(\w+)\}", lambda match: self._expand(match.group(1)), phrase)

    def _word(self) -> str:
        """Deal a common word: every word comes once before any comes again, frequent ones a few times."""
        if not self.deck:
            words = vocabulary()
            self.deck.extend([*words, *words[:_TOP] * _FREQUENT])
            self.random.shuffle(self.deck)
        return self.deck.pop()

    def _number(self) -> str:
        return spell(self.random.randrange(10 ** self.random.randint(1, 6)))

    def _few(self) -> str:
        return spell(self.random.randrange(100))

    def _digits(self) -> str:
        return " ".join(self._expand("digit") for _ in range(self.random.randint(1, 7)))


@cache
def _grammar() -> Mapping[str, Sequence[str]]:
    rules = tomli.loads(files(__package__).joinpath("grammar.toml").read_text("utf-8"))
    return {name: [phrase.strip() for phrase in rule.split("|")] for name, rule in rules.items()}


@cache
def vocabulary() -> list[str]:
    """Return common words, most frequent first."""
    return files(__package__).joinpath("words.txt").read_text("utf-8").split()
