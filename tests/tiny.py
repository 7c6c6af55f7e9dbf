"""Small stand-ins that tests share with the conformance kit: a tokenizer, sine waves, a folder dataset."""

from __future__ import annotations

from steermoe_core.testing.tiny import (
    DIGITS,
    EOS,
    PROMPT_WORDS,
    QUESTION_WORDS,
    RATE,
    UNKNOWN,
    sine,
    tokenizer,
    write_folder,
    write_table,
    write_wav,
)

__all__ = [
    "DIGITS",
    "EOS",
    "PROMPT_WORDS",
    "QUESTION_WORDS",
    "RATE",
    "UNKNOWN",
    "sine",
    "tokenizer",
    "write_folder",
    "write_table",
    "write_wav",
]
