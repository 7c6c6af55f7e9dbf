"""The launcher of a sweep or ladder: it starts workers elsewhere, for example in the queue of a cluster."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.check.structurer import selection
from steermoe_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from steermoe_core.plugins import Registry


@attrs.frozen(kw_only=True)
class Workers:
    """What a launcher starts: copies of one command, each of which takes free runs until there is none.

    A copy ends with exit code 0 or 1 when no run is free. At SIGTERM or SIGUSR1 it writes a checkpoint and
    ends with 130: start it again then, and after a kill. Any number of copies can run at the same time, on
    machines that share the file system, with the same Python environment at the same place.

    :param command: the command line; it runs in the current folder.
    :param runs: the number of unfinished runs; more copies would have nothing to do.
    :param folder: exists, for scripts and logs.
    :param name: of the experiment file, for lists of jobs.
    """

    command: list[str]
    runs: int
    folder: Path
    name: str

    @classmethod
    def of(cls, folder: Path, runs: int, name: str, *, retry_failed: bool) -> Workers:
        """Return the workers of a sweep that has begun in a folder."""
        command = [sys.executable, "-m", "steermoe_core", "work", str(folder)]
        return cls(
            command=[*command, *(["--retry-failed"] if retry_failed else [])],
            runs=runs,
            folder=folder,
            name=name,
        )


class Launcher(ABC):
    """Starts workers."""

    @abstractmethod
    def start(self, workers: Workers) -> str:
        """Start workers and return at once.

        :returns: what was started, for people: ``"4 workers as job 17"``.
        :raises SetupError: they cannot be started.
        """


def launcher(registry: Registry, name: str, settings: Iterable[tuple[str, Any]]) -> Launcher:
    """Return the launcher of a name.

    :param settings: keys and values.
    :raises UsageError: it has no such setting.
    :raises PluginError: no active plugin has it.
    """
    component = registry.get("launcher", name)
    try:
        chosen = selection(registry, "launcher", {"use": name, **dict(settings)})
    except UsageError as error:
        msg = f"--on {name}: {error} (`steermoe describe launcher {name}` lists its settings)"
        raise UsageError(msg) from None
    built: Launcher = component.build(chosen.config)
    return built
