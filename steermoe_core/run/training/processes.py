"""A run in several processes: one group, one lock on the run folder, one report of an error."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from steermoe_core.errors import ExitCode, SetupError
from steermoe_core.system.signals import handled
from steermoe_core.train import ranks
from steermoe_core.train.deepspeed import check_installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.run.folder.run_folder import RunFolder

#: Seconds that a failed process waits for another to report the error, and then to be ended.
PATIENCE, LINGER = 10.0, 60.0


@contextmanager
def exclusive(train: TrainConfig, folder: RunFolder) -> Iterator[None]:
    """Join the processes of a run; inside the block, rank 0 locks the folder against other runs.

    :raises SetupError: DeepSpeed is configured and not installed, or there are fewer GPUs than processes.
    :raises RunFolderError: another run has locked the folder.
    """
    deepspeed = train.deepspeed is not None
    if deepspeed:
        check_installed()
    with ExitStack() as stack:
        stack.enter_context(ranks.process_group(train.device, even_alone=deepspeed))
        ranks.on_rank0(lambda: stack.enter_context(folder.held()))
        yield


def claim_report(folder: RunFolder, error: BaseException) -> None:
    """Return in the one process that has to report an error; the others wait here until they are ended.

    Rank 0 reports, unless its error is the loss of a process, which that one or its parent reports. Another
    rank reports an error that rank 0 does not report within `PATIENCE`.

    :raises ReportedElsewhereError: another process reports.
    """
    if ranks.world() == 1:
        return
    stopped = isinstance(error, KeyboardInterrupt)
    try:
        if ranks.first():
            patience = PATIENCE if peer_lost(error) else 0.0
            reported = (stopped or patience > 0.0) and _reported(folder, patience)
        else:
            reported = isinstance(error, ranks.ReportedElsewhereError) or _reported(folder, PATIENCE)
    except KeyboardInterrupt:  # the launcher ends this process, as another one has ended
        stopped, reported = True, not ranks.first() or _reported(folder, 0.0)
    if reported and stopped:
        raise ranks.ReportedElsewhereError(ExitCode.INTERRUPTED) from error
    if reported:
        with handled(signal.SIG_DFL):
            time.sleep(LINGER)  # once this process ends, the launcher ends the one that reports
        raise ranks.ReportedElsewhereError(1) from error


def peer_lost(error: BaseException) -> bool:
    """Return whether an error is a network error after another process ended."""
    words = ("gloo", "NCCL", "nccl", "peer", "Broken pipe")
    return ranks.world() > 1 and isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def explained(error: BaseException) -> BaseException:
    """Return an error, or a readable one in its place if another process was lost."""
    if not peer_lost(error):
        return error
    return SetupError(
        "another process of this run ended without an error message (killed, or out of memory); "
        "the same command resumes from the last checkpoint"
    )


def _reported(folder: RunFolder, patience: float) -> bool:
    end = time.monotonic() + patience
    while folder.state == "running":
        if time.monotonic() >= end:
            return False
        time.sleep(0.2)
    return True
