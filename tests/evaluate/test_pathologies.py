"""Pathologies: each is found where it is, and not where the clip really says so."""

from __future__ import annotations

import json
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.config import AsrConfig
from steermoe_core.evaluate.pathologies import (
    KINDS,
    NAMED,
    REFUSALS,
    instructions,
    length_ratio,
    pathologies,
    scripts,
)
from steermoe_core.evaluate.scores import LengthRatio, Pathology
from steermoe_core.system.records import plain
from tests.predictions import predicted

PROMPT = "please transcribe the audio content into text: "
TEN = "a b c d e f g h i j"
#: Words with marks, format characters and apostrophes, each another one when it is normalised.
scripted = st.sampled_from(
    ["हिन्दी", "नमस्ते", "ก็ได้", "می\u200cخواهم", "don't", "e\u0301te\u0301", "so\u00adfa"]
)


def found(said: str, wanted: str, given: list[str] | None = None, **facts: object) -> set[str]:
    """Return the kinds that an answer has."""
    counts = pathologies([predicted(said, wanted, **facts)], given or [])
    return {name for name, one in counts.items() if one.count}


@given(st.text(max_size=40))
def test_the_reference_itself_has_none(text: str) -> None:
    """Whatever is said in a clip may be written down."""
    assert found(text, text, [PROMPT]) == set()


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_judged_in_any_encoding(said: str, wanted: str, prompt: str) -> None:
    """No text is too strange, and each of Unicode's forms of it has the same kinds."""
    kinds = found(said, wanted, [prompt])

    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert found(normalize(form, said), normalize(form, wanted), [normalize(form, prompt)]) == kinds


class TestLoop:
    """The same units three times in a row."""

    @pytest.mark.parametrize(
        "said",
        ["okay okay okay", "i think i think i think so", "so a b c a b c a b c d", "好好好", "今天今天今天"],
    )
    def test_is_found_at_any_length(self, said: str) -> None:
        """One word or several, Han characters too."""
        assert "loop" in found(said, TEN)

    @pytest.mark.parametrize(
        "said",
        [
            "नननन मीमीमी",
            "வவ்வவ்வால் பறக்கிறது",
            "ก็ได้ ก็ดี ก็ไป",
            "حتّى تتّخذ",
            "e\u0301te\u0301 e\u0301te\u0301 ete",
        ],
    )
    def test_letters_within_words_are_none(self, said: str) -> None:
        """A mark is part of its word in every script: a word is never cut into letters."""
        assert "loop" not in found(said, TEN)

    @given(st.lists(scripted, min_size=1, max_size=12))
    def test_is_what_repeats_word_by_word(self, spoken: list[str]) -> None:
        """Words between spaces, in any script but Han: three of the same in a row, in runs of any length."""
        loops = any(
            spoken[start : start + size] * 3 == spoken[start : start + 3 * size]
            for size in range(1, len(spoken) // 3 + 1)
            for start in range(len(spoken) - 3 * size + 1)
        )

        assert ("loop" in found(" ".join(spoken), "")) == loops

    @pytest.mark.parametrize("said", ["okay okay", "a b a b", "a b c", ""])
    def test_twice_is_none(self, said: str) -> None:
        """People say things twice."""
        assert "loop" not in found(said, TEN)

    def test_of_the_speaker_is_none(self) -> None:
        """Somebody says it three times; four times is an insertion and no more than that."""
        assert found("ten ten ten", "ten ten ten") == set()
        assert found("ten ten ten ten", "ten ten ten") == set()
        assert "loop" in found("ten ten ten four four four", "ten ten ten four")

    def test_any_accepted_answer_counts(self) -> None:
        """Where several are right, one that repeats is enough."""
        assert "loop" not in found("no no no", "no", references=["no", "no no no"])


class TestRefusal:
    """The language model talks about itself."""

    @pytest.mark.parametrize("words", REFUSALS)
    def test_every_phrase_of_the_list_is_found(self, words: str) -> None:
        """In any case, with any punctuation, within a longer answer."""
        assert "refusal" in found(f"Well, {words.upper()}!", "hello")

    def test_is_found_with_its_punctuation(self) -> None:
        """As models write it."""
        assert "refusal" in found("I\u2019m sorry, but I can't do that.", "hello")
        assert "refusal" in found("对不起，我无法回答。", "你好")

    def test_of_the_speaker_is_none(self) -> None:
        """Said in the clip, it is right."""
        assert "refusal" not in found("I'm sorry, I can't.", "i'm sorry i can't")

    def test_words_alone_are_none(self) -> None:
        """Sorry is a word."""
        assert "refusal" not in found("i am sorry there is no call", "hello")


class TestPromptEcho:
    """Words of the prompt in the answer."""

    def test_four_words_are_an_echo(self) -> None:
        """From anywhere in the prompt."""
        assert "prompt-echo" in found("the audio content into one", "one", [PROMPT])
        assert "prompt-echo" not in found("the audio content one", "one", [PROMPT])

    def test_a_short_prompt_as_a_whole(self) -> None:
        """Of two words both; a single word is no echo."""
        assert "prompt-echo" in found("the text one", "one", ["the text"])
        assert "prompt-echo" not in found("text one", "one", ["text"])

    def test_the_clips_own_question(self) -> None:
        """It is a prompt, too."""
        assert "prompt-echo" in found("what is it", "a dog", prompt="What is it?")

    def test_of_the_speaker_is_none(self) -> None:
        """The clip may say what the prompt says."""
        assert "prompt-echo" not in found(
            "transcribe the audio content", "transcribe the audio content", [PROMPT]
        )

    def test_instructions_are_what_stands_beside_the_audio(self) -> None:
        """Prompt and the template's own words; slots and the chat template's name are none."""
        config = AsrConfig(prompt="write it down", template="Example: a\n{prompt}Sound:{audio}\nText:")

        assert instructions(config) == ["Example: a\n", "Sound:", "\nText:", "write it down"]
        assert instructions(AsrConfig(template="chat", system="be kind", prompt="")) == ["be kind"]
        assert instructions(object()) == []


def test_empty_is_nothing_but_punctuation() -> None:
    """Where something should be said."""
    assert found("", "one") == {"empty"}
    assert found(" … ", "one") == {"empty"}
    assert found("", "") == set()


class TestWrongScript:
    """Letters that the reference is not written in."""

    @pytest.mark.parametrize(
        ("said", "wanted", "wrong"),
        [
            ("привет", "hello", True),
            ("你好 hello", "hello", True),
            ("hello", "你好", True),
            ("hello 42 ½ é", "hello", False),
            ("ＡＢＣ", "abc", False),
            ("漢字", "かな", False),
            ("かな", "漢字", True),
            ("anything", "42", False),
        ],
    )
    def test_is_found_by_names_of_letters(self, said: str, wanted: str, wrong: bool) -> None:  # noqa: FBT001
        """Digits and marks have no script; a reference without letters judges nobody; kana go with Han."""
        assert ("wrong-script" in found(said, wanted)) == wrong

    def test_scripts_are_named_as_in_unicode(self) -> None:
        """By the first word of each letter's name."""
        assert scripts("aя漢") == {"LATIN", "CYRILLIC", "CJK"}


class TestLength:
    """Ratio of units said to units of the reference."""

    def test_bounds(self) -> None:
        """More than twice, less than half, and more than five units off."""
        assert "too-long" in found("x y " * 10 + "z", TEN)
        assert "too-long" not in found(" ".join("xyzuvwqrst" * 2), TEN)
        assert "too-long" not in found("yes it is a dog i", "yes")
        assert "too-short" in found("a b c d", TEN)
        assert "too-short" not in found("a b c d e", TEN)
        assert "too-short" not in found("a", "a b c d")

    def test_ratio_is_of_all(self) -> None:
        """Median and outer 5 %; empty references have none."""
        rows = [predicted("a b", "a"), predicted("a", "a"), predicted("", "a"), predicted("a", "")]

        assert length_ratio(rows) == LengthRatio(low=0.1, median=1.0, high=1.9)
        assert length_ratio([predicted("a", "")]) is None
        assert length_ratio([]) is None


def test_a_report_counts_and_names() -> None:
    """Every kind, its share, at most five ids; plain JSON."""
    rows = [predicted("" if number < 7 else "one", "one", id=f"clip-{number}") for number in range(10)]

    report = pathologies(rows)

    assert report.keys() == KINDS.keys()
    assert report["empty"] == Pathology(count=7, share=0.7, ids=[f"clip-{number}" for number in range(NAMED)])
    assert report["loop"] == Pathology(count=0, share=0.0, ids=[])
    assert json.loads(json.dumps(plain(report)))["empty"]["count"] == 7
    assert pathologies([])["empty"].share == 0.0
