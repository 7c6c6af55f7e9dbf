"""A run in a notebook: readable cells, and a stop button that loses nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.notebooks import control_characters, displayed, executed, notebook, printed, raising
from tests.rig import STEPS, metrics, trained

if TYPE_CHECKING:
    from tests.rig import Rig

BUILD = 'from steermoe_core import Experiment, run\nexperiment = Experiment.from_file("tiny.toml")'
STATUS = """
from pathlib import Path
from steermoe_core import FinishedRun
(found,) = map(FinishedRun, Path("runs").glob("tiny-*"))
print(found.status.state, found.status.step)
"""
RUN = 'finished = run(experiment, "runs")'


def test_cells_show_notes_and_a_line_for_each_task(rig: Rig) -> None:
    """Progress is one line a task, which changes; nothing is red, and no control character is left."""
    book = executed(
        notebook(BUILD, RUN, RUN, "finished", "finished.metrics.to_pandas()"), rig.folder, rig.paths
    )
    _, first, again, name, table = book.cells

    training, *scoring = displayed(first)
    assert re.fullmatch(rf"training: {STEPS} of {STEPS}, loss \d\.\d+, in \d:\d\d", training)
    assert [text.partition(":")[0] for text in scoring] == [
        "scoring dev",
        "scoring other",
        "comparing sounds",
    ]
    assert "loading models\nreading data\ntraining data: 10 of 10 clips are used" in printed(first)
    assert (displayed(again), printed(again).count("\n")) == ([], 1)
    assert re.search(r"runs/tiny-[0-9a-f]{8} is finished; ", printed(again))
    assert re.fullmatch(r"<FinishedRun runs/tiny-[0-9a-f]{8}>", name.outputs[0].data["text/plain"])
    assert "learning_rate.projector" in table.outputs[0].data["text/html"]
    assert [printed(cell, "stderr") for cell in book.cells[1:]] == [""] * 4  # the rig's plugin is heavy
    assert [control_characters(cell) for cell in book.cells] == [set()] * 5


def test_stop_button(rig: Rig) -> None:
    """The cell ends with KeyboardInterrupt after a checkpoint, the kernel lives, the same cell resumes."""
    stop = 'import os; os.environ["RIG"] = "interrupt@3"\n'
    go_on = 'del os.environ["RIG"]\n'
    book = notebook(BUILD, stop + RUN, STATUS, go_on + RUN, STATUS)
    raising(book.cells[1])
    _, stopped, state, resumed, end = executed(book, rig.folder, rig.paths).cells

    assert stopped.outputs[-1].ename == "KeyboardInterrupt"
    assert "stopped after step 3; " in printed(stopped)
    assert printed(state) == "interrupted 3\n"
    assert "resuming from step 3\n" in printed(resumed)
    assert printed(end) == f"finished {STEPS}\n"

    (run,) = rig.runs.glob("tiny-*")
    outcome = trained(run), metrics(run)
    rig.runs = rig.folder / "whole"
    whole = rig.run()
    assert outcome == (trained(whole), metrics(whole))
