"""A run in several processes: one group, one holder of the folder, one that reports an error."""

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

#: Seconds that a failing process waits for another to report the same error, and then for its own end.
PATIENCE, LINGER = 10.0, 60.0


@contextmanager
def held(train: TrainConfig, folder: RunFolder) -> Iterator[None]:
    """Join the processes of a run; rank 0 keeps everybody else out of the folder while the block runs.

    :raises SetupError: DeepSpeed is configured and not installed, or there are fewer GPUs than processes.
    :raises RunFolderError: another run holds the folder.
    """
    deepspeed = train.deepspeed is not None
    if deepspeed:
        check_installed()
    with ExitStack() as stack:
        stack.enter_context(ranks.together(train.device, alone_too=deepspeed))
        ranks.decided(lambda: stack.enter_context(folder.held()))
        yield


def is_reporter(folder: RunFolder, error: BaseException) -> bool:
    """Tell whether this process reports an error that ended it; the others wait to be ended.

    Rank 0 does, unless the error only follows from the end of another process, which that one or its parent
    reports; any other process does if rank 0 has not reported the same error in the meantime.

    :raises ToldElsewhereError: another process reports it.
    """
    if ranks.world() == 1:
        return True
    stopped = isinstance(error, KeyboardInterrupt)
    if ranks.first():
        reported = (lost(error) and _reported(folder, PATIENCE)) or (stopped and _reported(folder, 0.0))
    else:
        reported = isinstance(error, ranks.ToldElsewhereError) or _reported(folder, PATIENCE)
    if reported and stopped:
        raise ranks.ToldElsewhereError(ExitCode.INTERRUPTED) from error
    if reported:
        with handled(signal.SIG_DFL):
            time.sleep(LINGER)  # the launcher ends this process as soon as the other is gone
        raise ranks.ToldElsewhereError(1) from error
    return True


def lost(error: BaseException) -> bool:
    """Tell whether an error is what the network says when another process is gone."""
    words = ("gloo", "NCCL", "nccl", "peer", "Broken pipe")
    return ranks.world() > 1 and isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def explained(error: BaseException) -> BaseException:
    """Return an error, or a sentence in its place where another process is gone."""
    if not lost(error):
        return error
    return SetupError(
        "another process of this run ended without an error (killed, or out of memory); "
        "the same command resumes from the last checkpoint"
    )


def _reported(folder: RunFolder, patience: float) -> bool:
    end = time.monotonic() + patience
    while folder.state == "running":
        if time.monotonic() >= end:
            return False
        time.sleep(0.2)
    return True
