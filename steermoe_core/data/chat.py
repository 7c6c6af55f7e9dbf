"""The layout that a tokenizer's chat template gives: a user's turn with the audio, then the assistant's.

The template is rendered with marks in the places of audio, prompt and answer that no template holds, and cut
at them. So its special tokens stand where they do in the texts that the model was trained on.
"""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateError

from steermoe_core.data.config import CHAT
from steermoe_core.data.layout import Layout
from steermoe_core.errors import SetupError

#: Between characters for private use, which no text of a template has.
AUDIO, PROMPT, ANSWER = "\ue000audio\ue001", "\ue000prompt\ue001", "\ue000answer\ue001"


def chat_layout(tokenizer: Any, system: str) -> Layout:
    """Return the text of a chat up to the assistant's answer, cut at the audio.

    :param system: text of the system's turn; empty for none.
    :raises SetupError: the tokenizer has no chat template, or one that such a chat does not fit.
    """
    before, after = _parted(_rendered(tokenizer, _asked(system), answered=False), AUDIO + PROMPT)
    return Layout(before, PROMPT + after, slot=PROMPT)


def chat_end(tokenizer: Any, system: str) -> int:
    """Return the token that ends the assistant's turn: the template's if it is one token, else the EOS."""
    turns = [*_asked(system), {"role": "assistant", "content": ANSWER}]
    _, tail = _parted(_rendered(tokenizer, turns, answered=True), ANSWER)
    tokens = tokenizer(tail.strip(), add_special_tokens=False)["input_ids"] if tail.strip() else []
    return int(tokens[0] if len(tokens) == 1 else tokenizer.eos_token_id)


def _asked(system: str) -> list[dict[str, str]]:
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": AUDIO + PROMPT}]


def _rendered(tokenizer: Any, turns: list[dict[str, str]], *, answered: bool) -> str:
    if not getattr(tokenizer, "chat_template", None):
        msg = (
            f'the decoder\'s tokenizer has no chat template for collator.template = "{CHAT}"; '
            "choose an instruction-tuned decoder, or write the template out with its slot {audio}"
        )
        raise SetupError(msg)
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=not answered)
    except (TemplateError, TypeError, ValueError) as error:
        raise _unfit(str(error)) from error
    return str(text)


def _parted(text: str, mark: str) -> tuple[str, str]:
    if text.count(mark) != 1:
        reason = "it does not keep a turn's text as it is"
        raise _unfit(reason)
    before, _, after = text.partition(mark)
    return before, after


def _unfit(reason: str) -> SetupError:
    return SetupError(
        f"the chat template of the decoder's tokenizer does not take a chat of "
        f'collator.template = "{CHAT}" ({reason}); write the template out with its slot {{audio}}'
    )
