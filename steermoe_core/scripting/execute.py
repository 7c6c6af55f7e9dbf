"""A run with everything that belongs to it: training, scores, report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.errors import SteermoeError
from steermoe_core.run.folder.finished import FinishedRun
from steermoe_core.train.ranks import first

if TYPE_CHECKING:
    from steermoe_core.run.execute import Run


def execute(job: Run) -> FinishedRun:
    """Train and score an experiment and write its report; a finished run is not repeated.

    :raises KeyboardInterrupt: stopped on request; the next call resumes.
    """
    finished = job.finished
    if finished:
        job.console.note(
            f"{job.folder.path} is finished; change a setting for another run, or delete it to repeat it"
        )
    else:
        job.execute()
    if first() and not (finished and job.folder.report.is_file()):
        _report(job)
    return FinishedRun(job.folder.path, job.registry)


def _report(job: Run) -> None:
    """Write the report of a run, without audio; the run succeeds even if its report fails."""
    from steermoe_core.report.page import report

    try:
        report([job.folder.path], job.registry, job.folder.report, audio=False)
    except SteermoeError as error:
        job.console.note(f"warning: {error}")
