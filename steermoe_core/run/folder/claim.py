"""Which process works in a folder: a claim that one process holds, also where file locks do nothing.

A claim is a folder `.claim` with one empty file, whose name is its owner:

    .claim/host=node07,machine=3f2a…,pid=4242,start=1764500000,job=17_2

The owner touches the file every `BEAT` seconds. Making a claim is one rename of a folder, and taking over
that of a dead owner is one rename of its file, so one of several processes succeeds. Any file system that
machines share does this atomically; `flock` is missing or without effect on some.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from typing import TYPE_CHECKING

import attrs

from steermoe_core.errors import ExitCode
from steermoe_core.system.printing import complain
from steermoe_core.system.slurm import job

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Name of the folder of a claim.
CLAIM = ".claim"
#: Seconds between two signs of life of an owner.
BEAT = 30.0
#: Seconds of silence after which an owner on another machine is dead; one on this machine is looked up.
SILENCE = 300.0
#: Seconds by which two readings of the start of one process can differ.
_DRIFT = 2


class ClaimedError(Exception):
    """Another process holds the claim; `args[0]` says which."""


@attrs.frozen(kw_only=True)
class Owner:
    """A process.

    :param host: name of its machine; `machine`: what distinguishes it from others of that name.
    :param pid: its number there; `start`: when it started, in seconds, which tells it from a later one.
    :param job: of a scheduler; empty without one.
    """

    host: str
    machine: str
    pid: int
    start: int
    job: str = ""

    @classmethod
    def this(cls) -> Owner:
        """Return the current process."""
        pid = os.getpid()
        return cls(host=socket.gethostname(), machine=_machine(), pid=pid, start=_start(pid) or 0, job=job())

    @classmethod
    def read(cls, name: str) -> Owner | None:
        """Return the owner that is the name of a file; None if it is none."""
        fields = dict(part.partition("=")[::2] for part in name.split(","))
        try:
            numbers = {key: int(fields.pop(key)) for key in ("pid", "start")}
            return cls(**fields, **numbers)  # type: ignore[arg-type]
        except (KeyError, ValueError, TypeError):
            return None

    @property
    def name(self) -> str:
        """What its file is called."""
        return ",".join(f"{key}={value}" for key, value in attrs.asdict(self).items())

    def __str__(self) -> str:
        """Return it for people."""
        where = "" if self.machine == _machine() else f" on {self.host}"
        return f"process {self.pid}{where}{f' of job {self.job}' if self.job else ''}"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the claim on a folder while the block runs.

    This process ends at once if it loses the claim, as when its machine was suspended and another process
    took over: it must not write to the folder again.

    :raises ClaimedError: another process holds it.
    :raises OSError: the folder cannot be written to.
    """
    file = folder / CLAIM / Owner.this().name
    _take(file)
    ended = Event()
    beating = Thread(target=_beat, args=(file, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        with suppress(OSError):  # a disk that became read-only; the claim ends with this process
            file.unlink(missing_ok=True)
            file.parent.rmdir()


def holder(folder: Path) -> str | None:
    """Return the process that holds the claim on a folder, for people; None where it is free."""
    try:
        return next((_named(file) for file in _files(folder / CLAIM) if _lives(file)), None)
    except PermissionError:
        return "a process of another user"


def _take(file: Path) -> None:
    """Make a claim, or take over that of a dead owner."""
    claim = file.parent
    while not _made(file):
        for other in _files(claim):
            if _lives(other):
                raise ClaimedError(_named(other))
            with suppress(FileNotFoundError):  # another process was quicker
                os.utime(other)
                other.rename(file)
                return


def _made(file: Path) -> bool:
    """Make a claim where there is none; return False where there is one."""
    claim = file.parent
    draft = claim.with_name(f"{CLAIM}.{token_hex(4)}")
    try:
        draft.mkdir()
        (draft / file.name).touch()
        draft.rename(claim)  # which may exist, but must be empty
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def _files(claim: Path) -> list[Path]:
    try:
        return sorted(claim.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _lives(file: Path) -> bool:
    """Return whether the owner that a file names lives, as far as can be known from here."""
    owner = Owner.read(file.name)
    if owner and owner.machine == _machine():
        start = _start(owner.pid)
        return start is not None and abs(start - owner.start) <= _DRIFT
    try:
        return time.time() - file.stat().st_mtime < SILENCE
    except FileNotFoundError:  # it was given back, or taken over
        return False


def _named(file: Path) -> str:
    return str(Owner.read(file.name) or "an unknown process")


def _beat(file: Path, ended: Event) -> None:
    """Give signs of life; end the process if it no longer holds the claim."""
    while not ended.wait(BEAT):
        try:
            os.utime(file)
        except FileNotFoundError:
            folder = file.parent.parent
            other = holder(folder) or "another process"
            complain(f"steermoe: {folder} was deleted, or taken over by {other}")
            os._exit(ExitCode.ENVIRONMENT)
        except OSError:  # the file server is away, for others too
            continue


def _start(pid: int) -> int | None:
    """Return when a process of this machine started; None if it has ended."""
    import psutil  # accelerate brings it

    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return None if ended else int(process.create_time())
    except psutil.NoSuchProcess:
        return None


@cache
def _machine() -> str:
    """Return what this machine, or container, has alone since its start: where process numbers are unique."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]
