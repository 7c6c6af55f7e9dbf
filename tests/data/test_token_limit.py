"""Too long sequences lose the beginning of their prompt, or the clip is left out; no answer is cut."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, JsonlConfig
from steermoe_core.data.example import Example
from steermoe_core.data.sources.jsonl import read_jsonl
from steermoe_core.data.token_counts import tokenised
from steermoe_core.data.token_limit import Room
from steermoe_core.errors import DataError
from tests.data.test_collators import WORDS, features, words
from tests.sounds import write_manifest
from tests.tiny import DIGITS, EOS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.data.layout import Batch

counts = st.integers(0, 9)


def audio_tokens(seconds: float) -> int:
    """Return ten tokens a second."""
    return round(10 * seconds)


def collator(context: int = 1000, **settings: Any) -> AsrCollator:
    """Return a collator for a decoder of some context."""
    return AsrCollator(AsrConfig(**settings), WORDS, features, room=Room(context, audio_tokens))


def spoken(answer: int, prompt: int, seconds: float = 1.0, name: str = "clip") -> Example:
    """Return an example of so many words, with a prompt of so many; there is no file."""
    asked = " ".join(DIGITS[number % 10] for number in range(prompt))
    said = " ".join(DIGITS[number % 10] for number in range(answer))
    return Example(id=name, audio=Path(name), text=said, seconds=seconds, prompt=asked)


@pytest.fixture(autouse=True)
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every clip be silence: these tests are about texts."""
    monkeypatch.setattr("steermoe_core.data.collators.load", lambda *_: np.zeros(10, np.float32))


def positions(batch: Batch, seconds: Sequence[float]) -> list[int]:
    """Return the length of each row's sequence."""
    texts = zip(batch.before.lengths, batch.after.lengths, batch.answer.lengths, strict=True)
    return [int(sum(row)) + audio_tokens(one) for row, one in zip(texts, seconds, strict=True)]


@pytest.mark.parametrize("template", ["{audio}{prompt}", "{prompt}{audio}", "it {audio} is {prompt} ?"])
@given(answer=counts, prompt=counts, limit=st.integers(5, 40), seconds=st.sampled_from([0.2, 1.0, 1.5]))
def test_every_answer_is_whole(template: str, answer: int, prompt: int, limit: int, seconds: float) -> None:
    """Whatever the lengths, what is trained on fits, ends with EOS and has every word of its answer."""
    made = collator(template=template, max_tokens=limit, too_long="cut-prompt")
    example = spoken(answer, prompt, seconds)
    bare = positions(made.collate([spoken(0, 0, 0.0)]), [0.0])[0] + answer + audio_tokens(seconds)

    if bare > limit:
        with pytest.raises(DataError, match="no clip is left"):
            made.fitting([example])
        return
    kept, report = made.fitting([example])
    batch = made.collate(kept)

    assert positions(batch, [seconds]) == [min(bare + prompt, limit)]
    assert words(batch.answer) == [[*example.text.split(), EOS]]
    assert list(report.cut) == (["clip"] if bare + prompt > limit else [])


def test_a_prompt_is_cut_at_its_beginning() -> None:
    """What is asked stands at a question's end; the template's own words stay."""
    made = collator(template="it : {audio} {prompt} ?", max_tokens=18, too_long="cut-prompt")

    batch = made.collate([spoken(2, 6)])

    assert words(batch.before) == [["it", ":"]]
    assert words(batch.after) == [["four", "five", "?"]]


def test_too_long_clips_are_dropped_and_counted() -> None:
    """By name, apart from those whose answer alone is too long."""
    made = collator(max_tokens=20, max_answer_tokens=6)
    examples = [spoken(2, 7, name="fits"), spoken(2, 8, name="over"), spoken(6, 0, name="talker")]

    kept, report = made.fitting(examples)

    assert [example.id for example in kept] == ["fits"]
    assert "1 longer than 20 tokens with text and audio: over" in str(report)
    assert "1 with answers over 6 tokens: talker" in str(report)
    with pytest.raises(DataError, match=r"over: its sequence has 21 tokens, more than 20 .*raise the limit"):
        made.collate(examples[:2])


def test_cut_prompts_are_counted() -> None:
    """The sentence about the data names them."""
    report = collator(max_tokens=20, too_long="cut-prompt").fitting([spoken(2, 9), spoken(2, 1)])[1]

    assert str(report).endswith("; 1 with their prompt cut: clip.")
    assert report.kept == 2


@pytest.mark.parametrize(("context", "limit", "fits"), [(21, 0, True), (20, 0, False), (20, 99, False)])
def test_the_context_is_the_limit(context: int, limit: int, fits: bool) -> None:  # noqa: FBT001
    """Without a limit of one's own, and no limit is above it."""
    made = collator(context, max_tokens=limit)

    assert bool(made.fitting([spoken(2, 8), spoken(2, 1)])[1].left_out) is not fits


def test_all_prompts_have_to_fit() -> None:
    """Where one of several is drawn, the longest counts."""

    class Several(AsrCollator):
        def common(self) -> list[str]:
            return ["one", "one two three"]

    example = Example(id="clip", audio=Path("clip"), text="one", seconds=1.0)
    made = Several(AsrConfig(max_tokens=14), WORDS, features, room=Room(audio_tokens=audio_tokens))

    with pytest.raises(DataError, match="longer than 14 tokens"):
        made.fitting([example])


def test_nothing_is_left_out_of_evaluation() -> None:
    """A prompt is cut for it only where the settings say so, with room for an answer of any length."""
    dropping = collator(max_tokens=20).collate([spoken(2, 15)], answered=False)
    cutting = collator(max_tokens=20, max_answer_tokens=4, too_long="cut-prompt")
    long = cutting.collate([spoken(2, 15)], answered=False)
    hopeless = cutting.collate([spoken(2, 15, 9.0)], answered=False)
    bare = cutting.prompt_batch([np.zeros(16_000, np.float32)], ["one " * 9])

    assert dropping.after.lengths.tolist() == [15]
    assert long.after.lengths.tolist() == [6]
    assert hopeless.after.lengths.tolist() == [15]
    assert bare.after.lengths.tolist() == [6]


@given(st.lists(st.tuples(counts, counts, st.sampled_from([0.2, 1.0, 1.5])), min_size=1), st.integers(5, 40))
@pytest.mark.parametrize("too_long", ["drop", "cut-prompt"])
def test_counts_in_batches_decide_as_one_by_one(
    too_long: Literal["drop", "cut-prompt"], sizes: list[tuple[int, int, float]], limit: int
) -> None:
    """What batches of texts let pass is what each example alone would be: whole."""
    made = collator(max_tokens=limit, max_answer_tokens=6, too_long=too_long)
    examples = [spoken(*one, name=str(number)) for number, one in enumerate(sizes)]
    examples = [attrs.evolve(one, prompt=None) if len(one.text) % 3 == 0 else one for one in examples]
    verdicts = [made._verdict(example) for example in examples]

    try:
        kept, report = made.fitting(examples)
    except DataError:
        assert not {"", "cut"} & set(verdicts)
        return
    assert kept == [one for one, verdict in zip(examples, verdicts, strict=True) if verdict in ("", "cut")]
    assert report.cut == [one.id for one, verdict in zip(examples, verdicts, strict=True) if verdict == "cut"]
    assert sum(map(len, report.left_out.values())) == len(examples) - len(kept)


def test_answers_of_its_own_are_asked_for() -> None:
    """A collator that learns another answer than the text is asked example by example."""

    class Twice(AsrCollator):
        """Answers are learned twice."""

        def reference(self, example: Example) -> list[int]:
            return super().reference(example) * 2

    made = Twice(AsrConfig(max_answer_tokens=5), WORDS, features, room=Room(1000, audio_tokens))

    kept, report = made.fitting([spoken(2, 1), spoken(3, 1)])

    assert len(kept) == 1
    assert list(report.left_out) == ["with answers over 5 tokens"]
    assert made.text_positions(kept).tolist() == [sum(made.text_lengths(kept[0]))]


def test_counts_of_an_index_are_kept(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second start tokenises nothing that fits; other settings of the answer do."""
    lines = [{"audio": f"{n}.wav", "text": " ".join(DIGITS[:n]), "seconds": 1.0} for n in range(1, 9)]
    for n in range(1, 9):
        (tmp_path / f"{n}.wav").write_bytes(b"a sound")
    path = write_manifest(tmp_path / "m.jsonl", *lines)
    monkeypatch.setattr("steermoe_core.data.index.LEAST", 1)
    calls: list[int] = []

    def counted(tokens: Any, texts: Sequence[str]) -> list[list[int]]:
        calls.append(len(texts))
        return tokenised(tokens, texts)

    monkeypatch.setattr("steermoe_core.data.token_counts.tokenised", counted)

    def texts(**settings: Any) -> list[str]:
        made = collator(**settings)
        kept, _ = made.fitting(read_jsonl(JsonlConfig(path=path)))
        known = list(calls)
        assert made.text_positions(kept).tolist() == [sum(made.text_lengths(one)) for one in kept]
        assert calls == known
        return list(kept.values("text"))

    assert len(texts(max_answer_tokens=4)) == 3
    assert calls == [8, 2]
    assert len(texts(max_answer_tokens=4)) == 3
    assert calls == [8, 2]
    assert len(texts(answer_prefix="one ", max_answer_tokens=4)) == 2
    assert calls == [8, 2, 8, 2]
