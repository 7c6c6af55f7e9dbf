"""Failures of answers other than wrong words: loops, refusals, echoes, silence, another script, length.

Texts are compared in units of the rule `zh`, whatever rule a score has: words of any script as under `basic`,
whole numbers, and single Han characters. A failure counts only if no accepted answer of the clip has it,
so a clip whose transcript is "ten ten ten" is no loop. None of this changes a score.
"""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from steermoe_core.data.config import AUDIO_SLOT, CHAT, PROMPT_SLOT
from steermoe_core.evaluate.rules import chinese_units
from steermoe_core.evaluate.scores import LengthRatio, Pathology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.evaluate.prediction import Prediction

    Units = tuple[str, ...]

#: Repetitions in a row that make a loop.
TIMES = 3
#: Units in a row of the prompt that make an echo; of a shorter prompt all, at least two.
ECHO = 4
#: An answer is too long above LONG times, too short below SHORT times the units of the reference, if it also
#: differs by more than SLACK units.
LONG, SHORT, SLACK = 2.0, 0.5, 5
#: Ids that are listed of each.
NAMED = 5
#: Phrases of a language model that refuses, or believes that it cannot do the task.
REFUSALS = (
    "as an ai",
    "i am an ai",
    "i'm an ai",
    "ai language model",
    "i'm sorry but i",
    "i am sorry but i",
    "i'm sorry i can't",
    "i'm sorry i cannot",
    "i am sorry i cannot",
    "i can't help with",
    "i can't assist with",
    "i cannot assist with",
    "i'm unable to",
    "i am unable to",
    "i'm not able to",
    "i can't transcribe",
    "i cannot transcribe",
    "i can't process audio",
    "i cannot process audio",
    "i can't listen to",
    "i cannot listen to",
    "对不起 我无法",
    "抱歉 我无法",
    "我无法转录",
    "我无法处理音频",
    "作为一个人工智能",
    "作为一个ai",
    "人工智能语言模型",
)
#: Japanese text uses three scripts: where there are kana, Han characters are allowed.
_JAPANESE = frozenset({"CJK", "HIRAGANA", "KATAKANA"})


@attrs.frozen
class _Case:
    """An answer, and the texts that it is compared with.

    :param units: of the answer.
    :param accepted: units of each accepted answer.
    :param prompts: runs of units of each text in the model's input, all of one length.
    """

    prediction: Prediction
    units: Units
    accepted: tuple[Units, ...]
    prompts: tuple[frozenset[Units], ...]


def pathologies(predictions: Sequence[Prediction], instructions: Sequence[str] = ()) -> dict[str, Pathology]:
    """Return for each kind the number of answers that have it, their share, and the first ids.

    :param instructions: texts in the model's input with every clip.
    """
    common = tuple(map(_echoes, instructions))
    cases = [_case(prediction, common) for prediction in predictions]
    return {name: _counted(cases, has_it) for name, has_it in KINDS.items()}


def length_ratio(predictions: Sequence[Prediction]) -> LengthRatio | None:
    """Return median, 5 % and 95 % of the units of answers over those of references; None without any."""
    pairs = [(len(_units(p.hypothesis)), len(_units(p.reference))) for p in predictions]
    ratios = [hypothesis / reference for hypothesis, reference in pairs if reference]
    if not ratios:
        return None
    low, median, high = np.percentile(ratios, [5, 50, 95]).round(4).tolist()
    return LengthRatio(low=low, median=median, high=high)


def instructions(collator: Any) -> list[str]:
    """Return the texts that a collator's settings add to the audio of every clip.

    :param collator: its settings.
    """
    named = (getattr(collator, name, None) for name in ("system", "template", "prompt", "prompts"))
    texts = [text for value in named for text in ([value] if isinstance(value, str) else value or [])]
    split = (text.replace(PROMPT_SLOT, AUDIO_SLOT).split(AUDIO_SLOT) for text in texts if text != CHAT)
    return [piece for pieces in split for piece in pieces if piece.strip()]


def _case(prediction: Prediction, common: tuple[frozenset[Units], ...]) -> _Case:
    own = () if prediction.prompt is None else (_echoes(prediction.prompt),)
    accepted = tuple(map(_units, prediction.accepted))
    return _Case(prediction, _units(prediction.hypothesis), accepted, common + own)


def _counted(cases: Sequence[_Case], has_it: Callable[[_Case], bool]) -> Pathology:
    ids = [case.prediction.id for case in cases if has_it(case)]
    return Pathology(count=len(ids), share=round(len(ids) / max(len(cases), 1), 4), ids=ids[:NAMED])


def _loop(case: _Case) -> bool:
    """Return whether units are repeated three times in a row, and not so in any accepted answer."""
    return bool(_looped(case.units).difference(*map(_looped, case.accepted)))


def _looped(units: Units) -> set[Units]:
    """Return the runs of units that are repeated often enough; a loop of "a a" is one of "a"."""
    loops = {
        units[start : start + size]
        for size in range(1, len(units) // TIMES + 1)
        for start, run in _runs(units, size)
        if run >= size * (TIMES - 1)
    }
    return {
        loop for loop in loops if not any(loop == loop[:n] * (len(loop) // n) for n in range(1, len(loop)))
    }


def _runs(units: Units, size: int) -> Iterator[tuple[int, int]]:
    """Yield each run of places whose units equal those `size` places later: its start and length."""
    places = range(len(units) - size)
    for same, group in groupby(places, lambda place: units[place] == units[place + size]):
        if same:
            run = list(group)
            yield run[0], len(run)


def _refusal(case: _Case) -> bool:
    """Return whether it has a phrase of refusal that no accepted answer has."""
    return any(
        words in _grams(case.units, len(words))
        and not any(words in _grams(text, len(words)) for text in case.accepted)
        for words in _REFUSALS
    )


def _prompt_echo(case: _Case) -> bool:
    """Return whether it repeats units of a prompt that no accepted answer has."""
    for echoes in filter(None, case.prompts):
        size = len(next(iter(echoes)))
        if (echoes & _grams(case.units, size)).difference(*(_grams(text, size) for text in case.accepted)):
            return True
    return False


def _echoes(prompt: str) -> frozenset[Units]:
    """Return the runs of units of a prompt by which an echo is recognised."""
    units = _units(prompt)
    return _grams(units, max(min(ECHO, len(units)), 2))


def _grams(units: Units, size: int) -> frozenset[Units]:
    return frozenset(units[start : start + size] for start in range(len(units) - size + 1))


def _empty(case: _Case) -> bool:
    """Return whether it is empty, and no accepted answer is."""
    return not case.units and all(case.accepted)


def _wrong_script(case: _Case) -> bool:
    """Return whether it has a letter of a script that no accepted answer uses."""
    known = set().union(*map(scripts, case.prediction.accepted))
    allowed = known | _JAPANESE if known & (_JAPANESE - {"CJK"}) else known
    return bool(known) and not scripts(case.prediction.hypothesis) <= allowed


def scripts(text: str) -> set[str]:
    """Return the scripts of a text's letters, as their names in Unicode begin: `LATIN`, `CJK`, `CYRILLIC`."""
    letters = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) in _LETTERS)
    return {unicodedata.name(letter, "UNKNOWN").split()[0] for letter in letters}


def _too_long(case: _Case) -> bool:
    """Return whether it is much longer than every accepted answer."""
    longest = max(map(len, case.accepted))
    return len(case.units) > max(LONG * longest, longest + SLACK)


def _too_short(case: _Case) -> bool:
    """Return whether it is not empty, but much shorter than every accepted answer."""
    shortest = min(map(len, case.accepted))
    return 0 < len(case.units) < min(SHORT * shortest, shortest - SLACK)


def _units(text: str) -> Units:
    return tuple(chinese_units(text).split())


_REFUSALS = tuple(map(_units, REFUSALS))
#: Letters proper; modifiers such as ʰ belong to no script.
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lo"})
#: The test for each kind of failure.
KINDS: dict[str, Callable[[_Case], bool]] = {
    "loop": _loop,
    "refusal": _refusal,
    "prompt-echo": _prompt_echo,
    "empty": _empty,
    "wrong-script": _wrong_script,
    "too-long": _too_long,
    "too-short": _too_short,
}
