"""Writing to disk: what goes wrong with it becomes a sentence."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from steermoe_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn a failed write into a sentence that says what was not saved and what is left.

    :raises CheckpointError: the disk is full or not writable.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        way = "make room or choose another --runs folder, then run the same command"
        if isinstance(error, (IsADirectoryError, NotADirectoryError, FileExistsError)):
            way = "something else has its name: move that away, then run the same command"
        msg = f"{path} was not saved ({error}); {way}"
        raise CheckpointError(msg) from error
