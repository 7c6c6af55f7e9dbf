"""The ranks of a run, started through DeepSpeed's launcher and stopped in order."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

import attrs

from steermoe_core.errors import ExitCode, SetupError, UsageError
from steermoe_core.system.cores import cores
from steermoe_core.system.signals import handled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

    from steermoe_core.config.experiment import TrainConfig

HERE = "localhost"
#: A line of a hostfile, such as `worker-1 slots=8`.
_HOST = re.compile(r"(\S+)\s+slots=(\d+)\s*(?:#.*)?")
#: A machine of `--include`, such as `worker-1:0,2`.
_INCLUDED = re.compile(r"([^\s:@]+)(?::(\d+(?:,\d+)*))?")


@attrs.frozen(kw_only=True)
class Places:
    """Where processes run: each machine's slots, one a process; on a GPU machine the numbers of its GPUs.

    :param slots: of each machine.
    :param hostfile: where the machines are listed; None for this one alone.
    """

    slots: dict[str, list[int]]
    hostfile: Path | None = None

    @classmethod
    def chosen(cls, nproc: int | None, hostfile: Path | None, include: str) -> Places:
        """Return what the command line asks for.

        :raises UsageError: it contradicts itself or the hostfile, or that is not one.
        """
        if nproc is not None and include:
            msg = "--nproc and --include both say how many processes there are; give one of them"
            raise UsageError(msg)
        known = None if hostfile is None else read_hostfile(hostfile)
        if include:
            return cls(slots=_included(include, known), hostfile=hostfile)
        if known is not None:
            return cls(slots=_each(known, nproc), hostfile=hostfile)
        if nproc is None:
            msg = "say how many processes there are (--nproc N, --include or --hostfile), or start it by srun"
            raise UsageError(msg)
        return cls(slots={HERE: list(range(nproc))})

    @classmethod
    def step(cls, ranks: Mapping[str, str]) -> Places:
        """Return those of a process that another launcher started, from the variables of its rank."""
        return cls(slots={HERE: list(range(int(ranks["LOCAL_WORLD_SIZE"])))})

    @property
    def most(self) -> int:
        """The largest number of processes on one machine."""
        return max(map(len, self.slots.values()))


def read_hostfile(path: Path) -> dict[str, int]:
    """Return how many processes each machine of a hostfile takes.

    :raises UsageError: it cannot be read, or a line of it is not `NAME slots=NUMBER`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the hostfile {path} cannot be read ({error})"
        raise UsageError(msg) from error
    found: dict[str, int] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        match = _HOST.fullmatch(line)
        if match is None or int(match[2]) < 1 or match[1] in found:
            why = "is there twice" if match and match[1] in found else 'must be like "worker-1 slots=8"'
            msg = f'{path}:{number}: "{line}" {why}'
            raise UsageError(msg)
        found[match[1]] = int(match[2])
    if not found:
        msg = f'the hostfile {path} names no machine; a line is like "worker-1 slots=8"'
        raise UsageError(msg)
    return found


def command(places: Places, port: int | None, folder: Path, words: Sequence[str]) -> list[str]:
    """Return DeepSpeed's command line for `steermoe WORDS…` in every process, each below a `rank` that waits.

    :param folder: the run's.
    :raises SetupError: DeepSpeed is not installed, or pdsh, with which it reaches other machines.
    """
    if find_spec("deepspeed") is None:
        msg = "steermoe launch needs DeepSpeed; `pip install steermoe[deepspeed]` brings it"
        raise SetupError(msg)
    ours = ["--module", "--no_local_rank", "--log_level=critical", "steermoe_core.study.rank"]
    ours += [str(folder), *words]
    python = [sys.executable, "-u", "-m"]
    if places.hostfile is None:
        world = base64.urlsafe_b64encode(json.dumps(places.slots).encode()).decode()
        where = [f"--world_info={world}", "--master_addr=127.0.0.1", f"--master_port={port or _free_port()}"]
        return [*python, "deepspeed.launcher.launch", *where, *ours]
    if len(places.slots) > 1 and shutil.which("pdsh") is None:
        msg = "several machines need pdsh, with which DeepSpeed reaches them; install it (`apt install pdsh`)"
        raise SetupError(msg)
    include = "@".join(f"{host}:{','.join(map(str, slots))}" for host, slots in places.slots.items())
    where = [f"--hostfile={places.hostfile}", f"--include={include}"]
    where += [f"--master_port={port}"] if port else []
    return [*python, "deepspeed.launcher.runner", *where, *ours]


def become_rank(folder: Path, words: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Turn this process, which another launcher started, into a rank that runs `steermoe WORDS…`.

    :param folder: the run's.
    """
    rank = [sys.executable, "-u", "-m", "steermoe_core.study.rank", str(folder), *words]
    os.execve(sys.executable, rank, env)  # noqa: S606 - our own command


def environment(places: Places, train: TrainConfig) -> dict[str, str]:
    """Return the environment of the processes: this one's, and what several on a machine need beside."""
    threads = train.threads or max(1, cores() // places.most)  # or each would take all cores
    found = {
        "OMP_NUM_THREADS": str(threads),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # DDP's advice on parameters that are left out on purpose
    }
    if train.device == "cpu":
        found["DS_ACCELERATOR"] = "cpu"
    return {**found, **os.environ}


def launch(words: Sequence[str], env: Mapping[str, str], *, local: bool) -> int:
    """Run the launcher to its end and return the exit code of the first process that failed.

    The processes are in a session of their own. So a Ctrl-C reaches them once, from here, and they can end
    their step and save; a second one ends them.

    :param local: whether all processes are on this machine.
    :raises SetupError: the launcher, or what waits for a process of the run, was killed.
    """
    process = subprocess.Popen(words, env=env, start_new_session=True)  # noqa: S603 - our own command
    pid = process.pid
    with forwarded(lambda: (_children(pid) if local else []) or [pid], launcher=pid) as reached:
        code = process.wait()
    if pid in reached and code != ExitCode.OK:
        return ExitCode.INTERRUPTED  # the launcher says 1 where it was asked to stop
    if code in set(ExitCode):
        return code
    if reached:
        return ExitCode.INTERRUPTED
    number = -code if code < 0 else 256 - code  # a launcher that passes -9 on gives 247
    why = f"by signal {number}" if 0 < number < signal.NSIG else f"with exit code {code}"
    msg = f"a process of the run was ended {why}; the same command resumes from the last checkpoint"
    raise SetupError(msg)


@contextmanager
def forwarded(running: Callable[[], Iterable[int]], launcher: int | None = None) -> Iterator[list[int]]:
    """Pass the first signal to stop on to every running process, and the second one to their launcher.

    :param running: returns the processes' ids. If there is none, the signal interrupts the block.
    :param launcher: ends them; without one, every process receives both signals.
    :returns: the processes that a signal was passed to.
    :raises KeyboardInterrupt: a signal came while no process was running.
    """
    reached: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
        again = bool(reached)
        targets = [launcher] if again and launcher else list(running())
        if not targets:
            raise KeyboardInterrupt
        for target in targets:
            reached.append(target)
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(target, signal.SIGTERM if again else signal.SIGINT)

    with handled(forward):
        yield reached


def _children(parent: int) -> list[int]:
    import psutil  # DeepSpeed brings it

    return [child.pid for child in psutil.Process(parent).children()]


def _each(known: dict[str, int], nproc: int | None) -> dict[str, list[int]]:
    if nproc and (small := [host for host, count in known.items() if count < nproc]):
        msg = f"--nproc is {nproc}, but the hostfile gives {small[0]} only {known[small[0]]} slots"
        raise UsageError(msg)
    return {host: list(range(nproc or count)) for host, count in known.items()}


def _included(include: str, known: dict[str, int] | None) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for part in include.split("@"):
        match = _INCLUDED.fullmatch(part)
        if match is None:
            msg = f'--include {include}: "{part}" must be like "{HERE}:0,1"'
            raise UsageError(msg)
        host, slots = match[1], [int(slot) for slot in (match[2] or "").split(",") if slot]
        if host not in (known if known is not None else [HERE]):
            there = f"the hostfile has {', '.join(known)}" if known else f"without --hostfile there is {HERE}"
            msg = f'--include {include}: there is no machine "{host}"; {there}'
            raise UsageError(msg)
        if known is not None and (beyond := [slot for slot in slots if slot >= known[host]]):
            msg = f"--include {include}: {host} has no slot {beyond[0]}; the hostfile gives it {known[host]}"
            raise UsageError(msg)
        if not slots and known is None:
            msg = f'--include {include}: say which slots of {HERE}, as in "{HERE}:0,1"'
            raise UsageError(msg)
        found[host] = sorted({*found.get(host, []), *(slots or range(known[host] if known else 0))})
    return found


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
