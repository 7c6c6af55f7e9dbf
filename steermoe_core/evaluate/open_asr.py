"""English as the Open ASR leaderboard normalises it since mid-2026: Whisper's normaliser with additions.

Added are fillers of any length, clock times, words written apart or together, spellings of names, and letters
that are spelled out. "'s" is expanded after some words only, and "oh" is a zero inside digits only.
Source of the lists: github.com/huggingface/open_asr_leaderboard, folder normalizer (Apache 2.0).
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

from whisper_normalizer.basic import remove_symbols_and_diacritics
from whisper_normalizer.english import EnglishNumberNormalizer, EnglishTextNormalizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Sounds that are no words; a letter with a plus may be drawn out.
FILLERS = (
    "ah-ha a+h+m* a+h+a+ e+h+m* e+m+ e+r+m* h+a+h+ h+e+h+ h+m+ h+u+h+ m{2,} m+h+m* t+s+k+ u+g+h+ u+h+m* "
    "u+h+u+[hm]* u+m+h* ahem eheh ehehe ehr hmmph hum hunh mhum mmkay"
)
#: Contractions of Whisper's list that stay as they are.
UNEXPANDED = ("kinda", "sorta", "dunno", "cause")
#: Words after which "'s" is "is"; after others it is a genitive.
IS_AFTER = "it he she what that who here there how when where why this"
SPELLINGS = {"ok": "okay", "kay": "okay", "etcetera": "etc"}
#: Words that are written apart or together, or drawn out.
COMPOUNDS = {
    r"et\s+cetera": "etc",
    r"al\s+right": "alright",
    r"all\s+right": "alright",
    r"how\s+ever": "however",
    r"wi\s+fi": "wifi",
    r"hi\s+fi": "hifi",
    r"lo\s+fi": "lofi",
    r"sci\s+fi": "scifi",
    r"e\s+mail": "email",
    r"e\s+book": "ebook",
    r"e\s+commerce": "ecommerce",
    r"x\s+ray": "xray",
    r"t\s+shirt": "tshirt",
    r"a\s+m": "am",
    r"p\s+m": "pm",
    r"o\s+k": "okay",
    r"o+h+": "oh",
    r"ooo+": "oh",
}
#: A name, and its other spellings.
NAMES = """
aaron: aron; alfonso: alphonso; alison: allison alyson; allen: alan allan; anne: ann; anthony: antony;
arthur: artur; brett: bret; brian: bryan; bridget: bridgette; caitlin: katelyn kaitlyn kaitlin; carl: karl;
carol: carrol carole carroll; catherine: katherine kathryn catharine; cathy: kathy; charlie: charly charley;
chris: kris; christina: kristina; christopher: kristopher cristopher; colin: collin; deborah: devorah;
dennis: denis; dominic: dominick; douglas: douglass; dylan: dillon; eric: erik erick; fatima: fatimah;
frederick: frederik fredrick; gail: gayle; gary: garry; greg: gregg; henry: henri; ivonne: yvonne; jackie:
jacky; jamie: jaime; jason: jayson; jeff: geoff; jeffrey: geoffrey jeffery; joanne: joann joane; john: jon;
jonathan: johnathan jonathon; joseph: josef; karen: caren caryn karin; kelly: kellye kelli kelley; kevin:
kevan; kristin: kristen; laurie: lori; lawrence: laurence; lee: leigh; leslie: lesley; lily: lilly; linda:
lynda; lindsay: linsey lindsey; louis: lewis; lucas: lukas; lynn: lynne; mark: marc; martin: martyn;
matthew: mathew; mcarthur: macarthur; mccarthy: macarthy maccarthy; mccartney: macartney; mcdonald:
macdonald; mcgowan: macgowan; mcintosh: macintosh; mcintyre: macintyre; mckay: mackay; mckenzie: mackenzie;
mclean: maclean; mcleod: macleod; mcmillan: macmillan; mcnamara: macnamara; megan: meghan; michael: micheal;
michelle: michele; miriam: myriam; mohammed: mohamad mohamed mohammad muhammad muhamad muhammed mouhamed
mouhamad mahomet; molly: mollie; natalie: nathalie; neil: neal; nicholas: nicolas; nicole: nikole; patrick:
patrik; peter: pieter; philip: phillip; rachel: rachael; rajiv: rajeev; rebecca: rebekah; rob: robb; robin:
robyn; roger: rodger; ronda: rhonda; russell: russel; sally: sallie; sarah: sara; sean: shaun shawn; shane:
shayne; sherry: sheri cheri sherrie; simon: symon; stacy: stacey stacie; steven: stephen; stuart: stewart;
susanne: suzanne; teresa: theresa; terry: terri; thomas: tomas; toby: tobey; tony: toni; tracy: tracey
tracie; veronica: veronika; victor: viktor; victoria: viktoria; walter: walther; yousef: yusuf yusef; zach:
zak; zachary: zackary zachery
"""
_NUMBER = re.compile(r"\d+(\.\d+)?")
#: Stands for an "oh" that is no zero while numbers are read; no text has it.
_OH = "\ufdd0"
_KEPT = ".%$¢€£"
_HOURS, _MINUTES = 24, 60


class OpenAsrEnglish:
    """The normaliser; a text in, its compared form out."""

    def __init__(self) -> None:
        whisper = EnglishTextNormalizer()
        self._fillers = re.compile(rf"\b({'|'.join(FILLERS.split())})\b")
        self._contractions = dict(_contractions(whisper.replacers))
        self._spellings = {**whisper.standardize_spellings.mapping, **SPELLINGS}
        self._names = dict(_names())
        self._numbers = _Numbers()
        self._times = _Times(self._numbers)

    def __call__(self, text: str) -> str:
        """Return the compared form, with single spaces."""
        text = re.sub(r"[<\[][^>\]]*[>\]]", "", text.lower())  # what stands in brackets is no speech
        text = re.sub(r"\(([^)]+?)\)", "", text)
        text = re.sub(r"\s+'", "'", self._fillers.sub("", text))
        text = self._times(text)
        for pattern, whole in self._contractions.items():
            text = re.sub(pattern, whole, text)
        text = re.sub(r"(\d),(\d)", r"\1\2", text)
        text = remove_symbols_and_diacritics(re.sub(r"\.(?![0-9])", " ", text), keep=_KEPT)
        for pattern, whole in COMPOUNDS.items():
            text = re.sub(rf"\b{pattern}\b", whole, text)
        words = [self._spellings.get(word, word) for word in self._numbers(text).split()]
        text = " ".join(_initials([self._names.get(word, word) for word in words]))
        text = re.sub(r"[.$¢€£](?![0-9])", " ", text)
        return " ".join(re.sub(r"(?<![0-9])%", " ", text).split())


def _contractions(whisper: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield Whisper's contractions in their order, without some, and with a narrower "is"."""
    left_out = {rf"\b{word}\b" for word in UNEXPANDED}
    for pattern, whole in whisper.items():
        if pattern == r"'s\b":
            yield rf"\b({IS_AFTER.replace(' ', '|')})'s\b", r"\1 is"
        elif pattern not in left_out:
            yield pattern, whole


def _names() -> Iterator[tuple[str, str]]:
    """Yield each other spelling of a name, and the name."""
    for entry in NAMES.split(";"):
        name, _, others = entry.partition(":")
        yield from ((other, name.strip()) for other in others.split())


def _initials(words: Sequence[str]) -> Iterator[str]:
    """Join single letters and digits: two, or three where a word such as "a" or "i" is among them."""
    for single, group in groupby(words, key=lambda word: len(word) == 1 and word.isalnum()):
        row = list(group)
        joined = single and len(row) >= (3 if {"a", "i"} & set(row) else 2)
        yield from ["".join(row)] if joined else row


class _Numbers(EnglishNumberNormalizer):  # type: ignore[misc] # an untyped library
    """Whisper's numbers, in which "oh" is a zero inside digits only."""

    def __init__(self) -> None:
        super().__init__()
        self.suffixers: dict[str, Any] = {**self.suffixers, _OH: {}}  # ends a number and stays as it is
        self.words.add(_OH)
        self.decimals.add(_OH)

    def process_words(self, words: list[str]) -> Iterator[str]:
        """Yield the words with numbers as digits."""
        marked = [_OH if self._is_word(words, place) else word for place, word in enumerate(words)]
        for word in super().process_words(marked):
            yield word.replace(_OH, "oh") if word else word

    def _is_word(self, words: Sequence[str], place: int) -> bool:
        """Return whether an "oh" is no zero."""
        return words[place] == "oh" and not self._repeated(words, place) and not self._is_zero(words, place)

    def _is_zero(self, words: Sequence[str], place: int) -> bool:
        """Return whether the digits continue after an "oh", and begin before it or continue twice."""
        first, second = (self._is_digits(words, place + ahead) for ahead in (1, 2))
        return first and (second or self._is_open(words, place))

    def _is_digits(self, words: Sequence[str], place: int) -> bool:
        if place >= len(words):
            return False
        word = words[place]
        return word.isdecimal() or word in self.zeros or word in self.ones or word in self.tens

    def _repeated(self, words: Sequence[str], place: int) -> bool:
        """Return whether a word is what "double" or "triple" before it repeats."""
        return (
            place > 0
            and words[place - 1] in ("double", "triple")
            and not self._repeated(words, place - 1)
            and (words[place] in self.ones or words[place] in self.zeros)
        )

    def _is_open(self, words: Sequence[str], place: int) -> bool:
        """Return whether a number has begun before a word, and may go on with it."""
        if place == 0:
            return False
        last, before = words[place - 1], place - 1
        if (
            self._repeated(words, before)
            or last in self.ones
            or last in self.tens
            or last in self.multipliers
        ):
            return True
        if last in self.zeros:
            return last != "oh" or self._is_zero(words, before)
        if last == "and":
            return before > 0 and words[before - 1] in self.multipliers
        bare = last[1:] if last[0] in self.prefixes else last
        return last in ("double", "triple", "point") or _NUMBER.fullmatch(bare) is not None


class _Times:
    """Clock times as digits: "half past two" is 2:30, and 2:00 is 2."""

    def __init__(self, numbers: _Numbers) -> None:
        digits = "|".join(word for word, value in numbers.ones.items() if value < 10)  # noqa: PLR2004
        tens = rf"(?:twenty|thirty|forty|fifty)(?:[\s-]+(?:{digits}))?"
        number = rf"(?:[0-9]{{1,2}}|{tens}|{'|'.join(numbers.ones)}|zero)"
        clock, start = r"o\s*['\u2019]?\s*clock", r"(?<![\w.:])"
        amount = rf"(?P<amount>half|(?:a\s+)?quarter|{number}\s+minutes?)"
        hour = rf"(?P<hour>{number})"
        self._numbers = numbers
        self._relative = re.compile(
            rf"{start}{amount}\s+(?P<relation>past|after|to|before)\s+{hour}(?:\s+{clock})?\b"
        )
        self._on_the_hour = re.compile(rf"{start}{hour}\s+{clock}\b")
        self._digits = re.compile(
            r"(?<![\w:./])(?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9])(?![\w:]|\.[0-9])"
        )

    def __call__(self, text: str) -> str:
        text = self._relative.sub(self._from_relative, text)
        text = self._on_the_hour.sub(self._from_hour, text)
        return self._digits.sub(_short, text)

    def _from_relative(self, match: re.Match[str]) -> str:
        hour, amount = self._value(match["hour"]), match["amount"]
        words = {"half": 30, "quarter": 15}
        minute = words.get(amount.split()[-1])
        if minute is None:
            minute = self._value(re.sub(r"\s+minutes?$", "", amount))
        if hour >= _HOURS or minute >= _MINUTES:
            return match.group()
        if match["relation"] in ("to", "before") and minute:
            hour = (hour - 2) % 12 + 1 if 1 <= hour <= 12 else (hour - 1) % _HOURS  # noqa: PLR2004
            minute = _MINUTES - minute
        return f"{hour}:{minute:02d}"

    def _from_hour(self, match: re.Match[str]) -> str:
        hour = self._value(match["hour"])
        return f"{hour}:00" if hour < _HOURS else match.group()

    def _value(self, text: str) -> int:
        value = self._numbers(text.replace("-", " ")).strip()
        return 1 if value == "one" else int(value)


def _short(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    return f"{hour}:{minute:02d}" if minute else str(hour)
