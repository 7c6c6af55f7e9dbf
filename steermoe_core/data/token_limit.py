"""How many tokens a sequence may have, and prompts that are cut to it; an answer is never cut."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable


def _no_audio(_: float) -> int:
    return 0


@attrs.frozen
class Room:
    """What the model says about lengths.

    :param context: longest sequence that the decoder reads, in positions.
    :param audio_tokens: the largest number of audio tokens that a clip of so many seconds becomes.
    """

    context: int = sys.maxsize
    audio_tokens: Callable[[float], int] = _no_audio


def cut(prompt: str, excess: Callable[[str], int], tokenizer: Any) -> str | None:
    """Return the end of a prompt, as long as it may be; None where even an empty one is too long.

    :param excess: by how many tokens a sequence with some prompt is too long.
    """
    tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"] if prompt else []
    dropped = 0
    while (over := excess(prompt)) > 0:
        if dropped == len(tokens):
            return None
        dropped = min(len(tokens), dropped + over)
        # Half a character may be left where tokens are bytes.
        prompt = str(tokenizer.decode(tokens[dropped:], clean_up_tokenization_spaces=False)).lstrip("\ufffd")
    return prompt
