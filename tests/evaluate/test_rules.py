"""Text rules: what each does to a text, and that a changed rule is seen."""

from __future__ import annotations

import hashlib
import re
import sys
from typing import TYPE_CHECKING, get_args
from unicodedata import normalize

import attrs
import kaldialign
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steermoe_core.errors import SetupError
from steermoe_core.evaluate import rules
from steermoe_core.evaluate.accuracy import ExactMatch
from steermoe_core.evaluate.config import CerConfig, ExactMatchConfig, RuleName, WerConfig
from steermoe_core.evaluate.metrics import Cer, Wer
from steermoe_core.evaluate.rules import HAN, chinese_units, rule
from steermoe_core.evaluate.scores import Edits
from tests.predictions import predicted

if TYPE_CHECKING:
    from steermoe_core.evaluate.metrics import Metric

NAMES: tuple[RuleName, ...] = get_args(RuleName)
RULES = {name: rule(name) for name in NAMES}
#: Version of each rule, and the beginning of the SHA-256 of its own code. Who changes a rule so that a text
#: may come out in another form raises its version, and writes both here.
KNOWN = {
    "raw": (1, "46b8eb759e5d"),
    "basic": (2, "71c21c0be42d"),
    "whisper-en": (1, "46b8eb759e5d"),
    "open-asr": (2, "9e9437c92661"),
    "zh": (2, "fa66cf9b1166"),
}

#: What normal forms, letter case and apostrophes depend on, more often than among all characters.
texts = st.text(
    st.one_of(
        st.sampled_from("aJİΣßé'\u2019 .,019½Ａ好か\u3099ก็हिन्दी한\u1112\u1161가-_!"),
        st.sampled_from("\u0301\u030c\u0323\u00ad\u200b\u200c\u200d\ufe0f\u034f\u302a\U000e0100"),
        st.characters(),
    )
)
words = st.lists(
    st.sampled_from(["home", "page", "homepage", "ab", "cd", "abcd", "abcdef", "cdef", "ef"]), max_size=7
)


def edits(metric: Metric, said: str, wanted: str) -> tuple[int, ...]:
    """Return substitutions, deletions, insertions, units."""
    return attrs.astuple(metric.edits(predicted(said, wanted)))


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text())
def test_a_form_is_single_spaced(name: RuleName, text: str) -> None:
    """Units with one space between them, whatever the text holds."""
    form = RULES[name].normalise(text)

    assert form == " ".join(form.split())


@pytest.mark.parametrize("name", ["raw", "basic", "zh"])
@given(text=texts)
@example("J\u030c")
def test_a_form_is_its_own_form(name: RuleName, text: str) -> None:
    """What is normalised once is normalised."""
    form = RULES[name].normalise(text)

    assert RULES[name].normalise(form) == form


@pytest.mark.parametrize("name", ["basic", "zh"])
@given(text=texts)
def test_a_form_is_that_of_every_unicode_form(name: RuleName, text: str) -> None:
    """However a text is encoded, it is compared alike; the compared form is NFKC in lower case."""
    form = RULES[name].normalise(text)

    assert {RULES[name].normalise(normalize(kind, text)) for kind in ("NFC", "NFD", "NFKC", "NFKD")} == {form}
    assert normalize("NFKC", form) == form
    assert form.lower() == form


@given(texts)
def test_chinese_units_are_the_words_of_basic_but_for_han_and_numbers(text: str) -> None:
    """In every script that sets spaces or marks, a word is one unit, with all its marks."""
    text = re.sub(rf"[{HAN}\d.,]", " ", normalize("NFKC", text))

    assert chinese_units(text) == RULES["basic"].normalise(text)


class TestBasic:
    """Words of any script."""

    @pytest.mark.parametrize(
        ("text", "form"),
        [
            ("'hello' \u2018hello\u2019 hello' 'hello", "hello hello hello hello"),
            ("don\u2019t rock 'n' roll, y'all'd've", "don't rock n roll y'all'd've"),
            ("a '' b ' c", "a b c"),
            ("ex\u00adam\u00adple \ufeffexample wo\u2060rd", "example example word"),
            ("می\u200cخواهم", "میخواهم"),
            ("ไป\u200bไหน", "ไป ไหน"),
            ("I \u2764\ufe0f it 1\ufe0f\u20e3", "i it 1\u20e3"),
            ("हिन्दी में क्\u200dष", "हिन्दी में क्ष"),
            ("J\u030cAZZ \u01f0azz", "\u01f0azz \u01f0azz"),
            ("snake_case \u0301", "snake case"),
        ],
    )
    def test_forms(self, text: str, form: str) -> None:
        """Apostrophes and marks count within words; what nobody sees does not count."""
        assert RULES["basic"].normalise(text) == form


class TestIdentity:
    """Name, version and hash, as they stand beside a score."""

    @pytest.mark.parametrize("name", NAMES)
    def test_a_changed_rule_has_a_new_version(self, name: RuleName) -> None:
        """The code of a rule is the one that its version was given to."""
        digest = hashlib.sha256(rule(name).definition().encode()).hexdigest()

        assert (rule(name).version, digest[:12]) == KNOWN[name]

    def test_every_rule_has_its_own(self) -> None:
        """Also the two that normalise alike and count differently."""
        assert len({rule(name).identity().sha256 for name in NAMES}) == len(NAMES)

    def test_is_the_same_each_time(self) -> None:
        """In every process: nothing of it is a place in memory."""
        assert rule("open-asr").identity() == rule("open-asr").identity()

    def test_changes_with_the_code(self) -> None:
        """Another pattern is another hash."""
        before = rule("zh")
        after = attrs.evolve(before, sources=(*before.sources[:-1], "another pattern"))

        assert after.identity().sha256 != before.identity().sha256

    def test_changes_with_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whisper's normaliser of another version may be another normaliser."""
        before = rule("whisper-en").identity()
        monkeypatch.setattr(rules, "version", lambda name: "9.9")

        assert rule("whisper-en").identity().sha256 != before.sha256
        assert rule("whisper-en").identity().version == before.version


@pytest.mark.parametrize("name", ["whisper-en", "open-asr"])
def test_a_missing_package_is_named(name: RuleName, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "whisper_normalizer.english", None)
    monkeypatch.delitem(sys.modules, "steermoe_core.evaluate.open_asr")

    with pytest.raises(SetupError, match=rf'"{name}" needs .*: pip install whisper-normalizer$'):
        rule(name)


class TestOpenAsr:
    """Whisper's normaliser; words may be split or joined."""

    WER = Wer(WerConfig(normalise="open-asr"))

    @pytest.mark.parametrize(
        ("said", "wanted"),
        [
            ("homepage", "home page"),
            ("home page", "homepage"),
            ("every one", "everyone"),
            ("a b c", "abc"),
            ("The Home-Page, please!", "the homepage please"),
            ("twenty one colours", "21 colors"),
        ],
    )
    def test_a_compound_is_no_error(self, said: str, wanted: str) -> None:
        """In either direction, with all that Whisper's normaliser forgives."""
        assert not self.WER.edits(predicted(said, wanted)).errors

    def test_what_is_wrong_stays_wrong(self) -> None:
        """Joining is free, another letter is not; the units are the words of the reference as they stand."""
        assert edits(self.WER, "homepage y", "home page x") == (1, 0, 0, 3)
        assert edits(self.WER, "", "home page") == (0, 2, 0, 2)
        assert edits(self.WER, "home page", "") == (0, 0, 2, 0)

    @given(words, words)
    def test_equals_kaldialign_and_never_costs_more(self, said: list[str], wanted: list[str]) -> None:
        """Its counts are taken as they are; a rule that forgives more finds no more errors."""
        found = self.WER.edits(predicted(" ".join(said), " ".join(wanted)))
        expected = kaldialign.edit_distance(wanted, said, merge_compounds=True)
        plain = Wer(WerConfig()).edits(predicted(" ".join(said), " ".join(wanted)))

        assert found == Edits(expected["sub"], expected["del"], expected["ins"], len(wanted))
        assert found.errors <= plain.errors
        assert found.errors or "".join(said) == "".join(wanted)

    def test_spaces_count_nowhere(self) -> None:
        """Neither as characters nor where whole answers are compared."""
        assert edits(Cer(CerConfig(normalise="open-asr")), "home page", "homepage") == (0, 0, 0, 8)
        whole = ExactMatch(ExactMatchConfig(normalise="open-asr"))

        assert edits(whole, "home page", "homepage") == (0, 0, 0, 1)


class TestChinese:
    """Han characters one by one, other words and numbers whole."""

    MER = Wer(WerConfig(normalise="zh"))
    CER = Cer(CerConfig(normalise="zh"))

    @pytest.mark.parametrize(
        ("text", "units"),
        [
            ("今天 天气", "今 天 天 气"),
            ("你好，ABC。", "你 好 abc"),
            ("ＡＢＣ１２３", "abc123"),
            ("我用iPhone 15 Pro", "我 用 iphone 15 pro"),
            ("don\u2019t 说", "don't 说"),
            ("《2024年》", "2024 年"),
            ("1,000,000元", "1000000 元"),
            ("3.5公里", "3.5 公 里"),
            ("第1,2名", "第 1 2 名"),
            ("二〇二四年", "二 〇 二 四 年"),
            ("50%", "50"),
            ("。，！", ""),
            ("国語", "国 語"),
            ("हिन्दी में नमस्ते", "हिन्दी में नमस्ते"),
            ("ก็ได้ not", "ก็ได้ not"),
            ("e\u0301cole\u00ads 葛\U000e0100城", "écoles 葛 城"),
            ("'引用' 'quote'", "引 用 quote"),
            ("\U00020000", "\U00020000"),
        ],
    )
    def test_units(self, text: str, units: str) -> None:
        """Width, case, space and punctuation are the same on both sides; numbers stay as they are written."""
        assert chinese_units(text) == units

    def test_word_error_rate_is_the_mixed_one(self) -> None:
        """A character and a word weigh the same."""
        assert edits(self.MER, "今天说 hallo", "今天说 hello") == (1, 0, 0, 4)
        assert edits(self.MER, "今天", "今 天。") == (0, 0, 0, 2)

    def test_character_error_rate_knows_no_space(self) -> None:
        """Nor punctuation at the end."""
        assert edits(self.CER, "今天 天气。", "今天天气") == (0, 0, 0, 4)
        assert edits(self.CER, "你好 abd", "你好ABC") == (1, 0, 0, 5)

    def test_numbers_are_not_read(self) -> None:
        """2024 for 二零二四 is an error, as the policy says."""
        assert edits(self.MER, "2024年", "二零二四年")[:3] == (1, 3, 0)

    def test_equal_to_characters_on_pure_chinese(self) -> None:
        """Then the mixed rate is the character error rate."""
        pair = ("我们去北京看天安门", "我们在北京看长城")

        assert edits(self.MER, *pair) == edits(self.CER, *pair)
