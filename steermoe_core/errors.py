"""Every error that a user can cause, and the exit code it leaves.

    SteermoeError                      1   the run failed
    ├── UsageError                     2   a wrong flag, name or file on the command line
    ├── ConfigError                    2   one or more problems in an experiment file
    ├── PluginError                    3   a part that is needed is missing or broken
    ├── SetupError                     4   the machine lacks something: a package, weights, memory
    ├── DataError                      1   audio or transcripts that cannot be used
    ├── CheckpointError                1   a checkpoint or adapter that does not fit or is damaged
    ├── RunFolderError                 1   a run folder that is in use or was changed by hand
    └── DivergedError                  1   the loss stopped being a number

Each message is one clear sentence that says where and what to do; a traceback is for bugs only.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitCode(IntEnum):
    """What the process tells the shell."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    PLUGIN = 3
    ENVIRONMENT = 4
    INTERRUPTED = 130


class SteermoeError(Exception):
    """Base of all errors with a message meant for the user."""

    exit_code = ExitCode.RUN_FAILED


class UsageError(SteermoeError):
    """The command line asks for something that does not exist."""

    exit_code = ExitCode.USAGE


class ConfigError(SteermoeError):
    """An experiment file has problems; all of them are in `problems`, already located."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Any]) -> None:
        self.problems = list(problems)
        super().__init__(_listing(self.problems))


class PluginError(SteermoeError):
    """A component that is needed is not installed, or its plugin is broken.

    `problems` holds the places in an experiment file that ask for it, where there are any.
    """

    exit_code = ExitCode.PLUGIN

    def __init__(self, message: str = "", problems: Sequence[Any] = ()) -> None:
        self.problems = list(problems)
        super().__init__(message or _listing(self.problems))


class SetupError(SteermoeError):
    """The machine lacks something that the run needs."""

    exit_code = ExitCode.ENVIRONMENT


class DataError(SteermoeError):
    """Audio or transcripts that cannot be used."""


class CheckpointError(SteermoeError):
    """A checkpoint or adapter that is damaged or belongs to other frozen parts."""


class RunFolderError(SteermoeError):
    """A run folder that another process uses or that does not fit the experiment."""


class DivergedError(SteermoeError):
    """The loss or a gradient stopped being a number."""


def _listing(problems: Sequence[Any]) -> str:
    """Return the problems one under the other, and how many there are."""
    count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    return "\n".join([*map(str, problems), f"{count}, nothing was run"])
