"""Text rules: what is done to both texts before they are compared, each with a name, a version and a hash.

    raw          white space becomes single spaces; case and punctuation count
    basic        lower case; words of letters with their marks, digits and inner apostrophes (NFKC)
    whisper-en   the English normaliser of OpenAI's Whisper: numbers, spelling, contractions, fillers
    open-asr     the Open ASR leaderboard's; a word that is split or joined is no error ("home page")
    zh           Chinese: each Han character is a unit, and so is each word of basic and each number

A score names the rule it was measured with. Who changes what a rule does to a text raises its version.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import unicodedata
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.data.split import FORMAT, KEPT, PARTING, SELECTORS, WORD, folded, kept, normalise_text
from steermoe_core.errors import SetupError
from steermoe_core.evaluate.scores import RuleVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steermoe_core.evaluate.config import RuleName

#: Han characters, as ranges of a regular expression.
HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MARKS = r"[^\w\s'.]*"
_LETTERS = rf"(?:[^\W_{HAN}]{_MARKS})+"
#: A unit of Chinese text: a Han character, or a run of other letters and digits, as "don't", "3.5" and "4k".
_ZH_UNIT = rf"[{HAN}]{_MARKS}|{_LETTERS}(?:(?:'|(?<=\d)\.(?=\d)){_LETTERS})*"
_ZH_THOUSANDS = r"(?<=\d),(?=\d{3}(?!\d))"


@attrs.frozen
class Rule:
    """How two texts are compared.

    :param name: what experiments call it.
    :param version: raised whenever a text may come out in another form.
    :param normalise: gives a text its compared form: units, one space between them.
    :param sources: code and patterns that `normalise` consists of.
    :param libraries: distributions that it also depends on.
    :param spaces: whether a space is a character of the character error rate.
    :param compounds: whether neighbouring words may be joined to meet a word of the other side.
    """

    name: str
    version: int
    normalise: Callable[[str], str]
    sources: tuple[Any, ...]
    libraries: tuple[str, ...] = ()
    spaces: bool = True
    compounds: bool = False

    def characters(self, text: str) -> str:
        """Return the compared form as a row of characters: without its spaces where they do not count."""
        form = self.normalise(text)
        return form if self.spaces else form.replace(" ", "")

    def definition(self) -> str:
        """Return the text that says what the rule does: its code and its options."""
        code = [one if isinstance(one, str) else inspect.getsource(one) for one in self.sources]
        return "\n".join([*code, f"spaces {self.spaces}, compounds {self.compounds}"])

    def identity(self) -> RuleVersion:
        """Return name, version and the SHA-256 of definition, libraries and Unicode's tables."""
        behind = [f"{name} {version(name)}" for name in self.libraries]
        whole = "\n".join([self.definition(), *behind, f"Unicode {unicodedata.unidata_version}"])
        digest = hashlib.sha256(whole.encode()).hexdigest()
        return RuleVersion(name=self.name, version=self.version, sha256=digest)


def rule(name: RuleName) -> Rule:
    """Return the rule of a name.

    :raises SetupError: when the package that does it is not installed.
    """
    return _RULES[name]()


def named(metric: str, name: RuleName) -> str:
    """Return what a metric is called under a rule: its own name under `basic`, else as `wer-zh`."""
    return metric if name == "basic" else f"{metric}-{name}"


def single_spaced(text: str) -> str:
    """Return the text with each run of white space as one space, none at the ends."""
    return " ".join(text.split())


def chinese_units(text: str) -> str:
    """Return Han characters, words and numbers, one space between them.

    Words are those of `basic`: NFKC (full width becomes half width), lower case, with their marks and inner
    apostrophes; no punctuation or symbols. Numbers stay as they are written but for the commas in thousands:
    a reading would be a guess (110 is 一百一十 or 幺幺零). Traditional characters are not simplified, and no
    儿 is dropped.
    """
    return " ".join(re.findall(_ZH_UNIT, kept(re.sub(_ZH_THOUSANDS, "", folded(text)), "'.")))


_WHISPER = "whisper-normalizer"
#: What the rules that know words have in common.
_WORDS = (folded, kept, "".join(sorted(KEPT)), FORMAT, PARTING, SELECTORS)


def _raw() -> Rule:
    return Rule("raw", 1, single_spaced, (single_spaced,))


def _basic() -> Rule:
    return Rule("basic", 2, normalise_text, (normalise_text, *_WORDS, WORD))


def _whisper_english() -> Rule:
    with _normaliser_of("whisper-en"):
        from whisper_normalizer.english import EnglishTextNormalizer
    english = EnglishTextNormalizer()
    sources = (single_spaced,)
    return Rule("whisper-en", 1, lambda text: single_spaced(english(text)), sources, (_WHISPER,))


def _open_asr() -> Rule:
    with _normaliser_of("open-asr"):
        from steermoe_core.evaluate.open_asr import OpenAsrEnglish
    sources, libraries = (inspect.getmodule(OpenAsrEnglish),), (_WHISPER, "kaldialign")
    return Rule("open-asr", 2, OpenAsrEnglish(), sources, libraries, spaces=False, compounds=True)


@contextmanager
def _normaliser_of(name: RuleName) -> Iterator[None]:
    try:
        yield
    except ImportError:
        msg = f'normalise = "{name}" needs the package {_WHISPER}: pip install {_WHISPER}'
        raise SetupError(msg) from None


def _zh() -> Rule:
    return Rule("zh", 2, chinese_units, (chinese_units, *_WORDS, _ZH_UNIT, _ZH_THOUSANDS), spaces=False)


_RULES: dict[RuleName, Callable[[], Rule]] = {
    "raw": _raw,
    "basic": _basic,
    "whisper-en": _whisper_english,
    "open-asr": _open_asr,
    "zh": _zh,
}
