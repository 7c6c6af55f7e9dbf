"""Locks of DeepSpeed's compiler that outlived it.

DeepSpeed compiles small operators at their first use, and torch keeps others off by a file until it is done.
A process that is killed meanwhile leaves that file, and every later one waits for it, silently and for ever.
"""

from __future__ import annotations

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

    :param note: is told what was removed.
    :param grace: younger locks are waited for.
    """
    for lock in _locks():
        while lock.exists() and not _compiles(lock.parent):
            if time.time() - lock.stat().st_mtime >= grace:
                lock.unlink(missing_ok=True)
                note(f"removed {lock}, which a killed compiler had left and a launch would wait for")
            else:
                time.sleep(min(1.0, grace))


def _locks() -> Iterator[Path]:
    """Find locks where `torch.utils.cpp_extension` puts them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "torch_extensions"
    yield from cache.glob("*/*/lock")
    if "TORCH_EXTENSIONS_DIR" in os.environ:
        yield from Path(os.environ["TORCH_EXTENSIONS_DIR"]).glob("*/lock")


def _compiles(folder: Path) -> bool:
    """Return whether a process works in a folder, as a compiler does."""
    import psutil  # DeepSpeed brings it

    return any(process.info["cwd"] == str(folder.resolve()) for process in psutil.process_iter(["cwd"]))
