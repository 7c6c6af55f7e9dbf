"""Settings of the built-in datasets and collators; cheap to import."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - the strict converter asks for the type
from typing import Literal

import attrs
from attrs.validators import and_, deep_iterable, ge, gt, le, matches_re, min_len

#: Where the audio tokens stand in a template, and where the prompt's text does.
AUDIO_SLOT, PROMPT_SLOT = "{audio}", "{prompt}"
#: The value of `template` that takes the tokenizer's own chat template.
CHAT = "chat"
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
    if template == CHAT:
        return
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
class SourceConfig:
    """What every source of examples can be told about its columns and parts.

    :param path: where the data lies.
    :param text_column: column with the transcript or answer; empty: `transcription` or `text`; without
        either, the only column with one of these names in any case: `sentence`, `transcript`,
        `normalized_text`, `raw_text`, `raw_transcription`, `utterance`. The run reports which. Where several
        are there, it must be named.
    :param prompt_column: column with the clip's own prompt, such as a question; empty: clips have none. A
        sound file may then have several rows.
    :param cluster_column: column with the speaker or group that the intervals of scores are bootstrapped
        over; empty: the `parts_column`, and without it, clips are independent, except rows of the same file.
    :param id_column: column with a name of the clip, no two alike; empty: its file or row.
    :param seconds_column: column with the duration, which is then not measured; empty: it is.
    :param references_column: column with a list of all answers that count as right; empty: the text alone.
    :param label_columns: columns that scores can be taken by, such as a language.
    :param split_column: column with the part that a row belongs to; empty: rows belong to none.
    :param split: the part to take: a name, several joined by `+`, or `all`.
    :param parts: division of what has no parts yet: share of each part, by the hash of the text, so that no
        text is in two parts; what no part claims is `train`. Example: `{ dev = 0.1, test = 0.2 }`.
    :param parts_column: column with the speaker or group that `parts` divides by, in place of the text, so
        that no speaker is in two parts.
    :param seed: another seed divides differently.
    :param speeds: each clip is taken once at each of these speeds (pitch changes with it); for training.
    """

    path: Path
    text_column: str = ""
    prompt_column: str = ""
    cluster_column: str = ""
    id_column: str = ""
    seconds_column: str = ""
    references_column: str = ""
    label_columns: list[str] = attrs.field(factory=list)
    split_column: str = ""
    split: str = ALL
    parts: dict[str, float] = attrs.field(factory=dict, validator=_check_parts)
    parts_column: str = ""
    seed: int = attrs.field(default=0, validator=ge(0))
    speeds: list[float] = attrs.field(
        factory=lambda: [1.0], validator=deep_iterable(and_(ge(0.1), le(10.0)), min_len(1))
    )

    def __attrs_post_init__(self) -> None:
        """Refuse a column to divide by without a division."""
        if self.parts_column and not self.parts:
            msg = f"parts_column is {self.parts_column!r}, but parts divides nothing; set parts too"
            raise ValueError(msg)


@attrs.frozen(kw_only=True)
class FolderConfig(SourceConfig):
    """A folder of sound files with a table of transcripts, as `datasets` calls an audiofolder.

    :param path: the folder; it holds metadata.csv, or sub-folders train, dev and test that do.
    :param file_column: column with the name of the sound file, relative to the table.
    """

    file_column: str = "file_name"


@attrs.frozen(kw_only=True)
class JsonlConfig(SourceConfig):
    """A manifest: a JSON object a line, with the path of a sound file and the text that belongs to it.

    Where a column is not named, these keys are taken if a line has them: `prompt`, `cluster` or `speaker`,
    `id`, `seconds` or `duration`, `references`, `labels` (a table), `split`. With an `offset` in seconds a
    line is a span of its file, as long as its `seconds`.

    :param path: the manifest; sound files are looked for relative to it.
    :param audio_column: key with the name of the sound file; empty: `audio` or `audio_filepath`.
    :param offset_column: key with the start of the span.
    """

    audio_column: str = ""
    offset_column: str = "offset"


@attrs.frozen(kw_only=True)
class TableConfig(SourceConfig):
    """What tables with the audio inside can be told.

    :param audio_column: column with the audio: `datasets`' bytes and path, bytes of a sound file, paths
        relative to the table, lists of samples, or log-mel features (bins of frames, 100 frames a second);
        empty: `audio`, or else `input_features`.
    :param rate_column: column with the samples a second of lists of samples.
    :param tokenizer: the tokenizer, a folder or a name on the hub, that made the token ids of a set without
        texts; the texts are decoded from `labels`, or from the `text_column`.
    """

    audio_column: str = ""
    rate_column: str = "sample_rate"
    tokenizer: str = ""


@attrs.frozen(kw_only=True)
class ParquetConfig(TableConfig):
    """Parquet files with the audio inside.

    :param path: a file, a folder that is searched for .parquet files, or a pattern such as
        `data/train-*.parquet`.
    """


@attrs.frozen(kw_only=True)
class DiskConfig(TableConfig):
    """What the `datasets` library wrote with `save_to_disk`.

    :param path: the folder of a set, of a dictionary of sets (`split` chooses among them), or a folder of
        such folders, which are taken together in the order of the numbers in their names.
    """


@attrs.frozen(kw_only=True)
class HubConfig(TableConfig):
    """A dataset of the Hugging Face hub, read through the `datasets` library and its cache.

    :param path: name on the hub, such as `openslr/librispeech_asr`, or a folder laid out like one.
    :param name: configuration of the dataset, where it has several.
    :param revision: commit, tag or branch; empty: the newest.
    :param split: the hub's split, or several joined by `+`.
    :param part: part to take where `parts` or `split_column` divides the split further: a name, or `all`.
    """

    path: str  # type: ignore[assignment] # a name; a path would start at the experiment's folder
    name: str = ""
    revision: str = ""
    split: str = attrs.field(default="train", validator=matches_re(r"[\w.-]+(\+[\w.-]+)*"))
    part: str = ALL


@attrs.frozen(kw_only=True)
class AsrConfig:
    """Audio and one instruction for all clips; the answer is the transcript.

    :param prompt: text that fills the template's prompt slot of every clip that has no prompt of its own.
    :param template: order of the input: exactly one `{audio}`, at most one `{prompt}`, any text around them.
        `chat` takes the chat template of the decoder's tokenizer: a user's turn with `{audio}{prompt}`, then
        the assistant's, which is the answer.
    :param system: text of the system's turn, with `template = "chat"`; empty: what the chat template does
        without one, which may be a default of its own.
    :param answer_prefix: put in front of each answer, e.g. a space where the tokenizer's words begin with
        one; removed again from what the model says.
    :param answer_end: a text of one token that ends each answer, e.g. a line break where the template shows
        examples that end so; empty: the token that ends the assistant's turn of a chat template, and the
        tokenizer's EOS elsewhere.
    :param lower: answers are learned in lower case.
    :param max_answer_tokens: clips with a longer answer, end token included, are left out of training and
        counted; no answer is ever cut.
    :param max_tokens: longest sequence in training: text, audio and answer with its end together; 0: what
        the decoder reads (its context).
    :param too_long: what becomes of a longer one: `drop` leaves the clip out of training and counts it;
        `cut-prompt` cuts the prompt at its beginning, never the answer, the audio or the template's own text,
        and in evaluation too, where it leaves room for `max_answer_tokens`, half of the limit at most.
    """

    prompt: str = "please transcribe the audio content into text: "
    template: str = attrs.field(default="{audio}{prompt}", validator=_check_template)
    system: str = ""
    answer_prefix: str = ""
    answer_end: str = ""
    lower: bool = False
    max_answer_tokens: int = attrs.field(default=448, validator=gt(0))
    max_tokens: int = attrs.field(default=0, validator=ge(0))
    too_long: Literal["drop", "cut-prompt"] = "drop"

    def __attrs_post_init__(self) -> None:
        """Check what the keys mean together."""
        if self.system and self.template != CHAT:
            msg = f'system is for template = "{CHAT}"; in any other, write its text into the template'
            raise ValueError(msg)
