"""Small stand-ins: a tokenizer built in memory, sine waves, a folder dataset."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

EOS, UNKNOWN = "</s>", "<unk>"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
#: Words for questions, and with them those of the default prompt.
QUESTION_WORDS = ("what", "is", "it", "?")
PROMPT_WORDS = ("please", "transcribe", "the", "audio", "content", "into", "text", ":", *QUESTION_WORDS)
RATE = 16_000


def tokenizer(words: Sequence[str] = (*DIGITS, *PROMPT_WORDS)) -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer: EOS is 0, unknown words are 1, there is no padding token."""
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys((EOS, UNKNOWN, *words)))}
    backend = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    backend.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=EOS, unk_token=UNKNOWN)


def sine(seconds: float, rate: int = RATE, hertz: float = 440.0) -> NDArray[np.float32]:
    """Return a sine wave at half of full scale."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_wav(
    path: Path,
    seconds: float = 0.5,
    rate: int = RATE,
    channels: int = 1,
    subtype: str = "PCM_16",
    hertz: float = 440.0,
) -> Path:
    """Write a sine wave, the same on all channels; parent folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waveform = sine(seconds, rate, hertz)
    soundfile.write(path, np.repeat(waveform[:, None], channels, axis=1), rate, subtype=subtype)
    return path


def write_table(folder: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write metadata.csv with the columns of the first row."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "metadata.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


def write_folder(folder: Path, texts: Sequence[str] = DIGITS, seconds: Sequence[float] | None = None) -> Path:
    """Write an audiofolder with one clip a text, each with its tone; lengths rise from 0.3 s unless given."""
    lengths = seconds if seconds is not None else [0.3 + 0.05 * number for number in range(len(texts))]
    names = [f"{number:03d}.wav" for number in range(len(texts))]
    for number, (name, length) in enumerate(zip(names, lengths, strict=True)):
        write_wav(folder / name, length, hertz=200.0 + 40.0 * number)
    write_table(folder, [{"file_name": n, "transcription": t} for n, t in zip(names, texts, strict=True)])
    return folder
