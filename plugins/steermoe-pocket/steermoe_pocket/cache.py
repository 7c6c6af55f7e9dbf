"""Where converted models and decoded speech are kept, and how a folder of them is made exactly once."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return `folder`, filled by `make` if it does not exist yet.

    `make` is given a folder with a temporary name that is renamed when it is complete: a folder under its
    final name is never half full. Two processes may ask at once; one makes, the other waits.

    :raises SetupError: when the cache can't be written.
    """
    if not folder.exists():
        with locked(folder):
            if not folder.exists():
                _make(folder, make)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of `folder` (which need not exist) for a while."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.parent / f".{folder.name}.lock")
        lock.acquire()
    except OSError as error:
        msg = f"{folder.parent} can't be written ({error.strerror}); set STEERMOE_CACHE to a folder that can"
        raise SetupError(msg) from None
    try:
        yield
    finally:
        lock.release()


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        make(temporary)
        temporary.chmod(0o755)
        temporary.rename(folder)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(temporary)
        raise
