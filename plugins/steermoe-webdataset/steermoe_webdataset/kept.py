"""Arrow files in the cache that are made once and that all processes of a run map into memory."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from filelock import FileLock

from steermoe_core import SetupError, cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The columns of an index. `sound`, `start` and `size` say where the sound of a clip is.
INDEX = pa.schema([
    ("clip", pa.string()), ("sound", pa.string()), ("start", pa.int64()), ("size", pa.int64()),
    ("seconds", pa.float64()), ("columns", pa.string()),
])  # fmt: skip
#: Changes when tables are written otherwise.
_VERSION = 1


def kept(key: list[Any], make: Callable[[], pa.Table]) -> pa.Table:
    """Return a table from the cache, where one process makes it if it is missing.

    :param key: everything that the table depends on, as JSON.
    :raises SetupError: the cache cannot be written.
    """
    known = json.dumps([_VERSION, *key])
    file = cache_folder() / "webdataset" / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.arrow"
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{file}.lock"):
                if not file.exists():
                    _write(file, make())
        except OSError as error:
            advice = "make room on its disk, or set STEERMOE_CACHE to another folder"
            msg = f"{file} was not saved ({error}); {advice}"
            raise SetupError(msg) from None
    with pa.memory_map(str(file)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


def _write(file: Path, table: pa.Table) -> None:
    partial = file.with_suffix(".partial")
    try:
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
