"""How slow this machine is: a budget of seconds then means the same work on every machine."""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import cache

_WORK = "import argparse, asyncio, cattrs, email.message, pluggy, rich.console, rich.table, sqlite3"
#: Seconds of computing that these imports take on the machine for which the budgets are written.
_REFERENCE = 0.15
_TRIES = 5


@cache
def pace() -> float:
    """Return by how much to multiply a budget of seconds of computing; 1 on a fast machine."""
    return max(1.0, min(_seconds() for _ in range(_TRIES)) / _REFERENCE)


def computing() -> float:
    """Return the seconds of computing of all processes that this one has started: no other load counts."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _seconds() -> float:
    start = computing()
    subprocess.run([sys.executable, "-c", _WORK], check=True)
    return computing() - start
