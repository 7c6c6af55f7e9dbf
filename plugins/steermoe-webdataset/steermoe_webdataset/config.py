"""Settings of the datasets; cheap to import."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - the strict converter asks for the type

import attrs


@attrs.frozen(kw_only=True)
class ShardsConfig:
    """Files that hold many clips each, with a sound and columns for each clip.

    :param split: name of the part that the shards are; a part with `test` in its name is never trained on.
    :param text_column: column with the transcript or answer; empty: `txt`, `text` or `transcription`.
    :param prompt_column: column with the clip's own prompt, such as a question; empty: clips have none.
    :param cluster_column: column with the speaker or group that the intervals of scores are bootstrapped
        over; empty: clips are independent.
    :param seconds_column: column with the duration, which is then not measured: no sound is read for the
        index.
    :param label_columns: columns that scores can be taken by, such as a language.
    """

    split: str = ""
    text_column: str = ""
    prompt_column: str = ""
    cluster_column: str = ""
    seconds_column: str = ""
    label_columns: list[str] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class WebdatasetConfig(ShardsConfig):
    """Tar shards on a local disk, in the WebDataset layout.

    Files whose names are equal up to the first dot are one clip. A clip has a sound file, and its texts are
    columns: the content of a `.txt` file, under the extension of the file (`txt`), and the keys of the object
    in a `.json` file.

    :param path: the shards: a file, a pattern (`train-*.tar`) or a range (`train-{000..127}.tar`).
    """

    path: Path

    @property
    def pattern(self) -> str:
        """Where the shards are."""
        return str(self.path)


@attrs.frozen(kw_only=True)
class WebdatasetUrlConfig(ShardsConfig):
    """Tar shards behind a URL, in the layout of `webdataset`.

    :param url: any URL that fsspec reads, of a file, a pattern (`s3://bucket/train-*.tar`) or a range
        (`https://host/train-{000..127}.tar`). A pattern needs a place that lists its files; `https` does not.
    """

    url: str

    @property
    def pattern(self) -> str:
        """Where the shards are."""
        return self.url


@attrs.frozen(kw_only=True)
class ParquetUrlConfig(ShardsConfig):
    """Parquet shards behind a URL. A row is a clip, with the bytes of a sound file in one of its columns.

    The sounds of a row group are fetched when the first of them is needed, and kept in the cache folder.

    :param url: any URL that fsspec reads, of a file, a pattern
        (`hf://datasets/openslr/librispeech_asr/clean/train.100/*.parquet`) or a range
        (`https://host/train-{000..127}.parquet`). A pattern needs a place that lists its files; `https` does
        not.
    :param audio_column: column with the sound: bytes of a sound file, or `datasets`' pair of bytes and path.
    """

    url: str
    audio_column: str = "audio"

    @property
    def pattern(self) -> str:
        """Where the shards are."""
        return self.url
