"""Writing to disk: what goes wrong with it becomes a sentence."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from traceback import walk_tb
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from steermoe_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What to do about each failure of the operating system.
_REMEDIES = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room in this user's quota",
    errno.EFBIG: "raise the limit of file sizes (`ulimit -f`)",
    errno.EROFS: "make its file system writable (it is mounted read-only)",
    errno.EACCES: "give this user permission to write there",
    errno.EPERM: "give this user permission to write there",
    **dict.fromkeys(
        (errno.EISDIR, errno.ENOTDIR, errno.EEXIST), "something else has its name: move that away"
    ),
}


@contextmanager
def saving(path: Path, instead: str = "") -> Iterator[None]:
    """Turn a failed write into a sentence that says what was not saved, why, and what to do.

    Only what says that a file cannot be written is taken for that: an `OSError`, and what safetensors and
    torch raise in its place.

    :param instead: what else the user can do, such as choosing another folder by a flag.
    :raises CheckpointError: the disk is full or not writable.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _by_torch_save(error):
            raise
        otherwise = f", or {instead}" if instead else ""
        msg = f"{path} was not saved ({error}); {_remedy(error)}, then run the same command{otherwise}"
        raise CheckpointError(msg) from error


def _remedy(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, SafetensorError) and (found := re.search(r"os error (\d+)", str(error))):
        number = int(found[1])
    return _REMEDIES.get(number or 0, "see that there is room, and permission to write")


def _by_torch_save(error: RuntimeError) -> bool:
    """Tell whether `torch.save` could not write; subclasses are errors of a device or of the network."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return type(error) is RuntimeError and any(
        frame.f_globals.get("__name__") == "torch.serialization" for frame in frames
    )
