"""Locks of DeepSpeed's compiler that outlived it.

DeepSpeed compiles small operators at their first use, and torch keeps others off by a file until it is done.
A process that is killed meanwhile leaves that file, and every later one waits for it, silently and for ever.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds that a lock may be there before a compiler shows up in its folder.
GRACE = 30.0


def clear_locks(note: Callable[[str], None], grace: float = GRACE) -> None:
    """Remove locks in whose folders no process of this machine compiles.

    :param note: is told what is waited for, and what was removed.
    :param grace: in seconds; a younger lock is given the time that it lacks.
    """
    for lock in filter(_forsaken, _locks()):
        if (left := grace - _age(lock)) > 0:
            note(f"waiting {left:.0f} s for a compiler that may be about to begin, because of {lock}")
            time.sleep(left)
        if _forsaken(lock):
            lock.unlink(missing_ok=True)
            note(f"removed {lock}, which a killed compiler had left and a launch would wait for")


def _locks() -> Iterator[Path]:
    """Find locks where `torch.utils.cpp_extension` puts them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "torch_extensions"
    yield from cache.glob("*/*/lock")
    if "TORCH_EXTENSIONS_DIR" in os.environ:
        yield from Path(os.environ["TORCH_EXTENSIONS_DIR"]).glob("*/lock")


def _age(lock: Path) -> float:
    """Return the seconds that a lock has been there; one that is gone is as old as can be."""
    try:
        return time.time() - lock.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _forsaken(lock: Path) -> bool:
    """Return whether a lock is there, and no process works in its folder, as a compiler does."""
    import psutil  # DeepSpeed brings it

    folder = str(lock.parent.resolve())
    return lock.exists() and all(one.info["cwd"] != folder for one in psutil.process_iter(["cwd"]))
