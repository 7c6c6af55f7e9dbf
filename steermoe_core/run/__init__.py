"""What happens in one run? Preview, training, scoring, certificates, and the folder that it leaves.

The package is also the public function `steermoe_core.run`. Python has one name for both, so the package can
be called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.scripting.experiment import Experiment


def run(
    experiment: Experiment,
    runs: str | os.PathLike[str] = "runs",
    *,
    device: str | None = None,
    quiet: bool = False,
) -> FinishedRun:
    """Train and score an experiment, and return what the run left.

    It does what `steermoe run` does: a finished run is returned at once, an interrupted one resumes. Ctrl-C,
    or the stop button of a notebook, ends it after the current step with a checkpoint; a second one acts at
    once. The same call resumes.

    :param runs: parent folder of the run folders.
    :param device: `auto`, `cpu` or `cuda`, in place of `train.device`.
    :param quiet: show no progress.
    :raises SteermoeError: the run failed; its class says why.
    :raises KeyboardInterrupt: stopped on request.
    """
    return experiment.run(runs, device=device, quiet=quiet)


class _Package(ModuleType):
    """A package that can be called, and sent to another process as a function can."""

    __call__ = staticmethod(run)

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        """Return how another process gets it."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
