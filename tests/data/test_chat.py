"""A chat template is cut at the audio; its special tokens stand where the model was trained to see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.errors import SetupError
from tests.data.test_collators import clip, features, words_of
from tests.tiny import EOS, tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

START, END = "<|start|>", "<|end|>"
CHATML = (
    "{% for m in messages %}<|start|>{{ m['role'] }} : {{ m['content'] }}<|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant :{% endif %}"
)
POCKET = sorted(Path("~/.cache/steermoe/weights").expanduser().glob("smollm2-135m-instruct-*"))


def chatty(template: str | None = CHATML) -> PreTrainedTokenizerFast:
    """Return the tiny tokenizer with the special tokens of a chat and a template."""
    made = tokenizer(("user", "assistant", "system", "one", "two", "please", "say", ":"))
    made.add_special_tokens({"additional_special_tokens": [START, END]})
    made.chat_template = template
    return made


def collator(template: str | None = CHATML, **settings: Any) -> AsrCollator:
    """Return a collator that chats."""
    return AsrCollator(AsrConfig(template="chat", **settings), chatty(template), features)


def test_the_audio_stands_in_the_users_turn(tmp_path: Path) -> None:
    """Before the prompt; the answer stands in the assistant's turn and ends as that does."""
    made = collator(prompt="please say:", system="one two")

    batch = made.collate([clip(tmp_path, "two one")])

    before, after, answer = (
        [*words_of(part, made.tokenizer)[0]] for part in (batch.before, batch.after, batch.answer)
    )
    assert before == [START, "system", ":", "one", "two", END, START, "user", ":"]
    assert after == ["please", "say", ":", END, START, "assistant", ":"]
    assert answer == ["two", "one", END]
    assert batch.ends == (made.tokenizer.convert_tokens_to_ids(END),)


def test_an_answer_is_heard_up_to_the_end_of_its_turn() -> None:
    """The turn's end and the tokenizer's EOS both end what the model says."""
    made = collator()
    one, two, end, eos = made.tokenizer.convert_tokens_to_ids(["one", "two", END, EOS])

    assert made.hypothesis([one, end, two]) == "one"
    assert made.hypothesis([one, two, eos, one]) == "one two"


@pytest.mark.parametrize(
    ("tail", "end"),
    [("<|end|>\n", END), (EOS, EOS), ("", EOS), (" <|end|> <|start|>", EOS)],
)
def test_the_end_of_an_answer(tail: str, end: str) -> None:
    """Where the template ends a turn with one token it is that one, else the tokenizer's EOS."""
    template = (
        "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }}" + f"{{{{ {tail!r} }}}}{{% endfor %}}"
    )

    made = collator(template)

    assert made.end == made.tokenizer.convert_tokens_to_ids(end)


def test_an_end_of_ones_own_comes_first() -> None:
    """`answer_end` says how answers end, whatever the template does."""
    made = collator(answer_end="two")

    assert made.end == made.tokenizer.convert_tokens_to_ids("two")


def test_marks_in_a_prompt_are_text(tmp_path: Path) -> None:
    """A prompt or a system text with the words of a template's slots moves nothing."""
    made = collator(prompt="{audio}{prompt}", system="{audio} {prompt}")

    before, after = made.prompt_lengths()

    assert before == len(
        made.tokenizer(f"{START}system : {{audio}} {{prompt}}{END} {START}user :")["input_ids"]
    )
    assert after == len(made.tokenizer(f"{{audio}}{{prompt}}{END} {START}assistant :")["input_ids"])


@pytest.mark.parametrize("template", [None, ""])
def test_a_tokenizer_without_a_chat_template(template: str | None) -> None:
    """One sentence says what to choose instead."""
    with pytest.raises(SetupError, match=r"has no chat template.*choose an instruction-tuned decoder"):
        collator(template)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{% for %}", "Expected"),
        ("hello", "does not keep a turn's text"),
        ("{% for m in messages %}{{ m['content'] * 2 }}{% endfor %}", "does not keep a turn's text"),
    ],
)
def test_a_template_that_a_chat_does_not_fit(template: str, reason: str) -> None:
    """The template's own complaint is told."""
    with pytest.raises(SetupError, match=f"does not take a chat of .*{reason}.*write the template out"):
        collator(template)


@pytest.mark.skipif(not POCKET, reason="the pocket lab's weights are not unpacked here")
def test_the_pocket_decoder(tmp_path: Path) -> None:
    """SmolLM2's template becomes the ids that it gives for the whole chat, cut at the audio."""
    from steermoe_core.model.decoder import load_tokenizer

    words = load_tokenizer(str(POCKET[0]))
    made = AsrCollator(AsrConfig(template="chat", prompt="Say it again."), words, features)

    batch = made.collate([clip(tmp_path, "hello world")])

    rows = [part.rows()[0].tolist() for part in (batch.before, batch.after, batch.answer)]
    turns = [{"role": "user", "content": "Say it again."}, {"role": "assistant", "content": "hello world"}]
    whole = words.apply_chat_template(turns, tokenize=False)
    assert "".join(map(words.decode, rows)) + "\n" == whole
    assert words("<|im_start|>").input_ids[0] in rows[0]
    assert rows[2] == [*words("hello world").input_ids, words("<|im_end|>").input_ids[0]]
