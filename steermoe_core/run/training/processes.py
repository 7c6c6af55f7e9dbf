"""A run in several processes: one group, one holder of the folder, one that tells what went wrong."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from steermoe_core.errors import SteermoeError
from steermoe_core.train import ranks
from steermoe_core.train.deepspeed import check_installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.run.folder.run_folder import RunFolder

#: Seconds that a process which fails waits for another to tell of the same, and then for its end.
PATIENCE, LINGER = 10.0, 60.0


@contextmanager
def held(train: TrainConfig, folder: RunFolder) -> Iterator[None]:
    """Join the processes of a run; rank 0 keeps everybody else out of the folder while the block runs.

    :raises SetupError: DeepSpeed is wanted and not there, or there are fewer GPUs than processes.
    :raises RunFolderError: another run holds the folder.
    """
    wanted = train.deepspeed is not None
    if wanted:
        check_installed()
    with ExitStack() as stack:
        stack.enter_context(ranks.together(train.device, alone_too=wanted))
        ranks.decided(lambda: stack.enter_context(folder.held()))
        yield


def tells(folder: RunFolder, error: BaseException) -> bool:
    """Tell whether this process writes down an error that ended it; the others wait to be ended.

    Rank 0 does, but for what it only knows of because another process is gone that told of it; a process
    that alone has an error does, after it waited for rank 0 to have the same one.

    :raises ToldElsewhereError: another process told.
    """
    if ranks.world() == 1:
        return True
    if ranks.first():
        told = lost(error) and _told(folder, 0.0)
    else:
        told = isinstance(error, ranks.ToldElsewhereError) or _told(folder, PATIENCE)
    if told:
        time.sleep(LINGER)  # the launcher ends this process as soon as the other is gone
        raise ranks.ToldElsewhereError(1) from error
    return True


def lost(error: BaseException) -> bool:
    """Tell whether an error is what the network says when another process is gone."""
    words = ("gloo", "NCCL", "nccl", "peer", "Broken pipe")
    return ranks.world() > 1 and isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def understood(error: BaseException) -> BaseException:
    """Return an error, or a sentence in its place where another process is gone."""
    if not lost(error):
        return error
    return SteermoeError(
        "another process of this run ended without a word (killed, or out of memory); "
        "the same command goes on from the last checkpoint"
    )


def _told(folder: RunFolder, patience: float) -> bool:
    end = time.monotonic() + patience
    while folder.state == "running":
        if time.monotonic() >= end:
            return False
        time.sleep(0.2)
    return True
