"""What goes wrong with answers beside wrong words: loops, refusals, echoes, silence, another script, length.

Texts are compared in units of the rule `zh`, whatever rule a score has: words of any script as under `basic`,
whole numbers, and single Han characters. An answer counts only for what no accepted answer of its clip has,
so a clip in which somebody really says "ten ten ten" is no loop. Nothing of this changes a score.
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

#: How often in a row the same units make a loop.
TIMES = 3
#: How many units in a row, as in the prompt, make an echo; of a shorter prompt all, but at least two.
ECHO = 4
#: An answer of more than so many times the units of the reference is too long, of less than such a share too
#: short, where it is also off by more than so many units.
LONG, SHORT, SLACK = 2.0, 0.5, 5
#: Ids that are named of each.
NAMED = 5
#: What a language model says that will not, or believes it cannot, do what it was asked.
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
#: Letters of Japanese text are of three scripts; who writes kana may write Han characters.
_JAPANESE = frozenset({"CJK", "HIRAGANA", "KATAKANA"})


@attrs.frozen
class _Case:
    """An answer beside what it is compared with.

    :param said: its units.
    :param accepted: units of each text that counts as right.
    :param prompts: runs of units of each text that the model was given, all of one length.
    """

    prediction: Prediction
    said: Units
    accepted: tuple[Units, ...]
    prompts: tuple[frozenset[Units], ...]


def pathologies(predictions: Sequence[Prediction], instructions: Sequence[str] = ()) -> dict[str, Pathology]:
    """Return for each kind how many answers have it, their share, and the first ids.

    :param instructions: texts that the model was given with every clip.
    """
    given = tuple(map(_echoes, instructions))
    cases = [_case(prediction, given) for prediction in predictions]
    return {name: _counted(cases, found) for name, found in KINDS.items()}


def length_ratio(predictions: Sequence[Prediction]) -> LengthRatio | None:
    """Return the median and the outer 5 % of units said over units of the reference; None without any."""
    pairs = [(len(_units(p.hypothesis)), len(_units(p.reference))) for p in predictions]
    ratios = [said / wanted for said, wanted in pairs if wanted]
    if not ratios:
        return None
    low, median, high = np.percentile(ratios, [5, 50, 95]).round(4).tolist()
    return LengthRatio(low=low, median=median, high=high)


def instructions(collator: Any) -> list[str]:
    """Return the texts that a collator's settings put beside the audio of every clip.

    :param collator: settings; those without such a text give none.
    """
    named = (getattr(collator, name, None) for name in ("system", "template", "prompt", "prompts"))
    texts = [text for value in named for text in ([value] if isinstance(value, str) else value or [])]
    split = (text.replace(PROMPT_SLOT, AUDIO_SLOT).split(AUDIO_SLOT) for text in texts if text != CHAT)
    return [piece for pieces in split for piece in pieces if piece.strip()]


def _case(prediction: Prediction, given: tuple[frozenset[Units], ...]) -> _Case:
    own = () if prediction.prompt is None else (_echoes(prediction.prompt),)
    accepted = tuple(map(_units, prediction.accepted))
    return _Case(prediction, _units(prediction.hypothesis), accepted, given + own)


def _counted(cases: Sequence[_Case], found: Callable[[_Case], bool]) -> Pathology:
    ids = [case.prediction.id for case in cases if found(case)]
    return Pathology(count=len(ids), share=round(len(ids) / max(len(cases), 1), 4), ids=ids[:NAMED])


def _loop(case: _Case) -> bool:
    """Tell whether some units come three times in a row that do so in no accepted answer."""
    return bool(_looped(case.said).difference(*map(_looped, case.accepted)))


def _looped(units: Units) -> set[Units]:
    """Return what is followed by itself often enough; a loop of "a a" is one of "a"."""
    found = {
        units[start : start + size]
        for size in range(1, len(units) // TIMES + 1)
        for start, run in _runs(units, size)
        if run >= size * (TIMES - 1)
    }
    return {
        loop for loop in found if not any(loop == loop[:n] * (len(loop) // n) for n in range(1, len(loop)))
    }


def _runs(units: Units, size: int) -> Iterator[tuple[int, int]]:
    """Yield where units begin to equal those `size` places on, and over how many places they do."""
    places = range(len(units) - size)
    for same, group in groupby(places, lambda place: units[place] == units[place + size]):
        if same:
            run = list(group)
            yield run[0], len(run)


def _refusal(case: _Case) -> bool:
    """Tell whether it refuses in words that no accepted answer has."""
    return any(
        words in _grams(case.said, len(words))
        and not any(words in _grams(text, len(words)) for text in case.accepted)
        for words in _REFUSALS
    )


def _prompt_echo(case: _Case) -> bool:
    """Tell whether it repeats units of a prompt that no accepted answer has."""
    for echoes in filter(None, case.prompts):
        size = len(next(iter(echoes)))
        if (echoes & _grams(case.said, size)).difference(*(_grams(text, size) for text in case.accepted)):
            return True
    return False


def _echoes(prompt: str) -> frozenset[Units]:
    """Return the runs of units of a prompt by which it is known again."""
    units = _units(prompt)
    return _grams(units, max(min(ECHO, len(units)), 2))


def _grams(units: Units, size: int) -> frozenset[Units]:
    return frozenset(units[start : start + size] for start in range(len(units) - size + 1))


def _empty(case: _Case) -> bool:
    """Tell whether nothing is said where something should be."""
    return not case.said and all(case.accepted)


def _wrong_script(case: _Case) -> bool:
    """Tell whether it has a letter of a script that no accepted answer is written in."""
    known = set().union(*map(scripts, case.prediction.accepted))
    allowed = known | _JAPANESE if known & (_JAPANESE - {"CJK"}) else known
    return bool(known) and not scripts(case.prediction.hypothesis) <= allowed


def scripts(text: str) -> set[str]:
    """Return the scripts of a text's letters, as their names in Unicode begin: `LATIN`, `CJK`, `CYRILLIC`."""
    letters = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) in _LETTERS)
    return {unicodedata.name(letter, "UNKNOWN").split()[0] for letter in letters}


def _too_long(case: _Case) -> bool:
    """Tell whether it is much longer than every accepted answer."""
    wanted = max(map(len, case.accepted))
    return len(case.said) > max(LONG * wanted, wanted + SLACK)


def _too_short(case: _Case) -> bool:
    """Tell whether something is said, but much less than in every accepted answer."""
    wanted = min(map(len, case.accepted))
    return 0 < len(case.said) < min(SHORT * wanted, wanted - SLACK)


def _units(text: str) -> Units:
    return tuple(chinese_units(text).split())


_REFUSALS = tuple(map(_units, REFUSALS))
#: Letters proper; modifiers such as ʰ belong to no script.
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lo"})
#: What is looked for, by name.
KINDS: dict[str, Callable[[_Case], bool]] = {
    "loop": _loop,
    "refusal": _refusal,
    "prompt-echo": _prompt_echo,
    "empty": _empty,
    "wrong-script": _wrong_script,
    "too-long": _too_long,
    "too-short": _too_short,
}
