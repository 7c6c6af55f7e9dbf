"""Settings of the built-in datasets and collators; cheap to import."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - the strict converter asks for the type

import attrs
from attrs.validators import deep_iterable, ge, gt, min_len

#: Where the audio tokens stand in a template, and where the prompt's text does.
AUDIO_SLOT, PROMPT_SLOT = "{audio}", "{prompt}"
#: The value of `split` that takes every part.
ALL = "all"


def _check_parts(_instance: object, _field: object, parts: dict[str, float]) -> None:
    if wrong := {"train", ALL, ""} & parts.keys():
        msg = f"a part cannot be called {min(wrong)!r}: the rest is 'train', all together are '{ALL}'"
        raise ValueError(msg)
    if min(parts.values(), default=0.0) < 0.0 or sum(parts.values()) > 1.0:
        msg = "shares must not be negative nor sum to more than 1"
        raise ValueError(msg)


def _check_template(_instance: object, _field: object, template: str) -> None:
    if template.count(AUDIO_SLOT) != 1:
        msg = f"the template must hold the slot {AUDIO_SLOT} exactly once"
        raise ValueError(msg)
    if template.count(PROMPT_SLOT) > 1:
        msg = f"the template may hold the slot {PROMPT_SLOT} at most once"
        raise ValueError(msg)
    unknown = set(re.findall(r"\{\w+\}", template)) - {AUDIO_SLOT, PROMPT_SLOT}
    if unknown:
        msg = f"the template has slots {AUDIO_SLOT} and {PROMPT_SLOT}, but not {min(unknown)}"
        raise ValueError(msg)


@attrs.frozen(kw_only=True)
class FolderConfig:
    """A folder of sound files with a table of transcripts, as `datasets` calls an audiofolder.

    :param path: the folder; it holds metadata.csv, or sub-folders train, dev and test that do.
    :param file_column: column with the name of the sound file, relative to the table.
    :param text_column: column with the transcript; where the default is missing, a column `text` will do.
    :param prompt_column: column with the clip's own prompt, such as a question; empty: clips have none. A
        file may then have several rows.
    :param cluster_column: column with the speaker or group that the intervals of scores are bootstrapped
        over; empty: clips are independent, except rows of the same file.
    :param split: the part to take: a name, or `all`.
    :param parts: division of a folder without sub-folders: share of each part, by the hash of the text, so
        that no text is in two parts; what no part claims is `train`. Example: `{ dev = 0.1, test = 0.2 }`.
    :param seed: another seed divides differently.
    :param speeds: each clip is taken once at each of these speeds (pitch changes with it); for training.
    """

    path: Path
    file_column: str = "file_name"
    text_column: str = "transcription"
    prompt_column: str = ""
    cluster_column: str = ""
    split: str = ALL
    parts: dict[str, float] = attrs.field(factory=dict, validator=_check_parts)
    seed: int = attrs.field(default=0, validator=ge(0))
    speeds: list[float] = attrs.field(factory=lambda: [1.0], validator=deep_iterable(gt(0.0), min_len(1)))


@attrs.frozen(kw_only=True)
class AsrConfig:
    """Audio and one instruction for all clips; the answer is the transcript.

    :param prompt: text that fills the template's prompt slot of every clip that has no prompt of its own.
    :param template: order of the input: exactly one `{audio}`, at most one `{prompt}`, any text around them.
    :param answer_prefix: put in front of each answer, e.g. a space where the tokenizer's words begin with
        one; removed again from what the model says.
    :param answer_end: a text of one token that ends each answer, e.g. a line break where the template shows
        examples that end so; empty: the tokenizer's EOS.
    :param lower: answers are learned in lower case.
    :param max_answer_tokens: clips with a longer answer, end token included, are left out of training and
        counted; no answer is ever cut.
    """

    prompt: str = "please transcribe the audio content into text: "
    template: str = attrs.field(default="{audio}{prompt}", validator=_check_template)
    answer_prefix: str = ""
    answer_end: str = ""
    lower: bool = False
    max_answer_tokens: int = attrs.field(default=448, validator=gt(0))
