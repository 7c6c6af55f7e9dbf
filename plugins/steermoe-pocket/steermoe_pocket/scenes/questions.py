"""Questions about a scene: two answered by yes, two by no, two by a word; and three people's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_pocket.scenes.scene import COUNTED, KINDS

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from steermoe_pocket.scenes.scene import Event, Scene

NUMBERS = ("one", "two", "three", "four")
ANNOTATORS = 3
#: How often an annotator errs, and how sure people are when they are right and when they are not.
_ERRORS = 0.1
_SURE = {True: ("yes", "yes", "yes", "maybe"), False: ("yes", "maybe", "maybe", "no")}


@attrs.frozen
class Asked:
    """A question, its answer, and what somebody might answer who did not listen well.

    :param others: wrong answers of the same sort.
    """

    question: str
    answer: str
    others: Sequence[str]


def asked(scene: Scene, chance: random.Random) -> list[Asked]:
    """Return six questions in random order; there is no telling the answer from a question."""
    found = [*_binary(scene, chance), *chance.sample(_words(scene), 2)]
    chance.shuffle(found)
    return found


def caption(scene: Scene) -> str:
    """Return what is heard in order, such as "three knocks siren up voice"."""
    return " ".join(map(_named, scene.events))


def _named(event: Event) -> str:
    if event.kind in COUNTED:
        return f"{NUMBERS[event.count - 1]} {event.kind}s"
    if event.kind == "siren":
        return f"siren {'up' if event.up else 'down'}"
    return event.kind


def answered(question: Asked, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield three people's answers and how sure they are."""
    for _ in range(ANNOTATORS):
        right = chance.random() >= _ERRORS
        answer = question.answer if right else chance.choice(question.others)
        yield answer, chance.choice(_SURE[right])


def _binary(scene: Scene, chance: random.Random) -> list[Asked]:
    """Return a question for each of two sounds that are heard and two that are not."""
    there = chance.sample([event.kind for event in scene.events], 2)
    missing = chance.sample([kind for kind in KINDS if not scene.has(kind)], 2)
    wordings = ("Is there a {}?", "Can you hear a {}?")
    return [
        Asked(chance.choice(wordings).format(kind), answer, (other,))
        for kinds, answer, other in ((there, "yes", "no"), (missing, "no", "yes"))
        for kind in kinds
    ]


def _words(scene: Scene) -> list[Asked]:
    """Return every question about the scene that is answered by a word."""
    first, last = scene.events[0].kind, scene.events[-1].kind
    found = [
        Asked("What is heard first?", first, _without(KINDS, first)),
        Asked("What is heard last?", last, _without(KINDS, last)),
    ]
    for event in scene.events:
        if event.kind in COUNTED:
            count = NUMBERS[event.count - 1]
            found.append(Asked(f"How many {event.kind}s are there?", count, _without(NUMBERS[1:], count)))
        if event.kind == "siren":
            way, other = ("up", "down") if event.up else ("down", "up")
            found.append(Asked("Does the siren go up or down?", way, (other,)))
    return found


def _without(words: Sequence[str], word: str) -> list[str]:
    return [other for other in words if other != word]
