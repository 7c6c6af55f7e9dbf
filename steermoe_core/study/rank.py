"""One rank of a launched run, and its parent that waits: `python -m steermoe_core.study.rank FOLDER WORDS…`.

A process that is killed has no last word, and the others of its run know only that it is gone. Its parent
knows which it was and what ended it: it says so, writes it to the run's status.json and ends with code 4.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.errors import CheckpointError, ExitCode
from steermoe_core.run.folder.run_folder import RunFolder, now
from steermoe_core.study.jobs import end_with_parent
from steermoe_core.system.signals import handled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

#: Seconds within which a process and its parent get the same signal.
SIGNAL_DELAY = 1.0


def main(folder: Path, words: Sequence[str]) -> int:
    """Run `steermoe WORDS…` to its end and return its exit code; 4 if it was killed.

    :param folder: the run's.
    """
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-u", "-m", "steermoe_core", *words],
        preexec_fn=end_with_parent,  # noqa: PLW1509 - no thread runs here
    )
    asked: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
        asked.append(number)
        if number != signal.SIGTERM:  # which DeepSpeed's launcher sends to the process as well
            process.send_signal(number)

    with handled(forward):
        code = process.wait()
        if code == -signal.SIGTERM and not asked:  # DeepSpeed's launcher ends a process before its parent
            time.sleep(SIGNAL_DELAY)
    if code >= 0:
        return code
    if asked:
        return ExitCode.INTERRUPTED
    said = _sentence(signal.Signals(-code))
    sys.stderr.write(f"steermoe: {said}\n")
    sys.stderr.flush()
    run = RunFolder(folder)
    if run.state == "running":
        with suppress(CheckpointError):
            run.set_status("failed", ended=now(), error=said)
    return ExitCode.ENVIRONMENT


def _sentence(ended: signal.Signals) -> str:
    rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    why = " (the kernel sends it when memory runs out)" if ended == signal.SIGKILL else ""
    return (
        f"rank {rank} of {world} on {socket.gethostname()} was ended by {ended.name}{why}; "
        "the same command resumes from the last checkpoint"
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
