"""The datasets `webdataset`, `webdataset-url` and `parquet-url`: the clips of shards, shard after shard."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, overload

from steermoe_core import DataError, Example
from steermoe_webdataset import parquet, tar
from steermoe_webdataset.config import ParquetUrlConfig
from steermoe_webdataset.remote import found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steermoe_core import EncodedAudio
    from steermoe_webdataset.config import WebdatasetConfig, WebdatasetUrlConfig

#: Columns of the transcript where the experiment names none.
TEXTS = ("txt", "text", "transcription")
#: Shards that are indexed at the same time.
_THREADS = 8


class Samples(Sequence[Example]):
    """The clips of all shards; an example is made from the index when it is asked for.

    :raises DataError: a shard cannot be read, or two have the same name.
    :raises SetupError: a package for the URL is missing, or the cache cannot be written.
    """

    def __init__(self, config: WebdatasetConfig | WebdatasetUrlConfig | ParquetUrlConfig) -> None:
        self._config = config
        read, self._clip = _reader(config)
        self._shards = found(config.pattern)
        self._names = [PurePosixPath(shard).stem for shard in self._shards]
        name, times = Counter(self._names).most_common(1)[0]
        if times > 1:
            msg = f"{config.pattern}: {times} shards are called {name!r}; rename them, as ids begin with it"
            raise DataError(msg)
        with ThreadPoolExecutor(_THREADS) as pool:
            self._tables = list(pool.map(read, self._shards))
        self._starts = [0, *accumulate(map(len, self._tables))]

    def __len__(self) -> int:
        """Return the number of clips."""
        return self._starts[-1]

    def __iter__(self) -> Iterator[Example]:
        """Yield all examples: faster than one by one."""
        for number, table in enumerate(self._tables):
            for row in table.to_pylist():
                yield self._example(number, row)

    @overload
    def __getitem__(self, number: int) -> Example: ...
    @overload
    def __getitem__(self, number: slice) -> list[Example]: ...
    def __getitem__(self, number: int | slice) -> Example | list[Example]:
        """Return an example, or several."""
        places = range(len(self))[number]
        if isinstance(places, range):
            return [self[place] for place in places]
        shard = bisect_right(self._starts, places) - 1
        (row,) = self._tables[shard].slice(places - self._starts[shard], 1).to_pylist()
        return self._example(shard, row)

    def _example(self, shard: int, row: dict[str, Any]) -> Example:
        config, clip = self._config, self._clip(self._shards[shard], row)
        columns = json.loads(row["columns"])
        text = next((name for name in TEXTS if name in columns), TEXTS[0])
        seconds = _value(columns, config.seconds_column, clip) if config.seconds_column else row["seconds"]
        if not isinstance(seconds, (int, float)):
            msg = f"{clip}: column {config.seconds_column!r} must hold a number, is {seconds!r}"
            raise DataError(msg)
        return Example(
            id=f"{self._names[shard]}/{row['clip']}",
            audio=clip,
            text=_text(columns, config.text_column or text, clip),
            seconds=float(seconds),
            prompt=_text(columns, config.prompt_column, clip) if config.prompt_column else None,
            cluster=str(_value(columns, config.cluster_column, clip)) if config.cluster_column else None,
            labels={name: str(_value(columns, name, clip)) for name in config.label_columns},
            split=config.split or None,
        )


def _reader(
    config: WebdatasetConfig | WebdatasetUrlConfig | ParquetUrlConfig,
) -> tuple[Callable[[str], Any], Callable[[str, dict[str, Any]], EncodedAudio]]:
    """Return what gives the index of a shard, and the clip of one of its rows."""
    measured = not config.seconds_column
    if not isinstance(config, ParquetUrlConfig):
        return partial(tar.index, measured=measured), tar.member
    texts = [config.text_column] if config.text_column else []
    named = [
        *texts,
        config.prompt_column,
        config.cluster_column,
        config.seconds_column,
        *config.label_columns,
    ]
    index = partial(
        parquet.index,
        audio=config.audio_column,
        columns=list(filter(None, named)),
        optional=[] if texts else TEXTS,
        measured=measured,
    )
    return index, parquet.cell


def _value(columns: dict[str, Any], name: str, clip: EncodedAudio) -> Any:
    """Return the value of a column.

    :raises DataError: the clip has none.
    """
    if name not in columns:
        msg = f"{clip}: there is no column {name!r}; its columns are {', '.join(columns) or 'none'}"
        raise DataError(msg)
    return columns[name]


def _text(columns: dict[str, Any], name: str, clip: EncodedAudio) -> str:
    """Return the value of a column that must be text.

    :raises DataError: it is not.
    """
    value = _value(columns, name, clip)
    if not isinstance(value, str):
        msg = f"{clip}: column {name!r} must hold text, is {value!r}"
        raise DataError(msg)
    return value
