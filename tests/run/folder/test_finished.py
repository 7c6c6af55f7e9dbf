"""FinishedRun: every file of a run folder as a record."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import SteermoeError
from steermoe_core.plugins import load_registry
from steermoe_core.run.folder.finished import FinishedRun
from tests.rig import STEPS

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_that_a_run_leaves(finished: Path) -> None:
    """Read through the classes that wrote it."""
    run = FinishedRun(finished, load_registry())

    assert run.status
    assert (run.status.state, run.status.training) == ("finished", run.adapter.training)
    assert run.lock
    assert run.lock.frozen == {name: part.sha256 for name, part in run.adapter.frozen.items()}
    assert run.lock.data["dev"] == run.scores["dev"].data
    assert run.metrics[-1].step == run.adapter.step == STEPS
    assert len(run.predictions("dev")) == run.scores["dev"].examples
    assert "frozen-stayed-frozen" in {one.name for one in run.certificates if one.passed}
    assert run.experiment.experiment.name == run.adapter.experiment
    assert (run.routing("dev"), run.own_decoder) == (None, {})


def test_path_is_enough(finished: Path) -> None:
    """As text, for scripts; the plugins are those of this installation."""
    run = FinishedRun(str(finished))

    assert repr(run) == f"<FinishedRun {finished}>"
    assert run.experiment.train.steps == STEPS
    assert run.predictions("dev").to_pandas()["edits.wer"].map(len).tolist() == [4] * 4


def test_files_say_their_format(finished: Path) -> None:
    """A later version is refused by the name of the file."""
    for path in sorted(finished.rglob("*.json")):
        if "checkpoints" not in path.parts:
            assert next(iter(json.loads(path.read_text()).items())) == ("format", 1), path
    run = FinishedRun(finished, load_registry())
    for name, read in (
        ("lock.json", lambda: run.lock),
        ("certificates.json", lambda: run.certificates),
        ("adapter/adapter.json", lambda: run.adapter),
        ("evaluations/dev/scores.json", lambda: run.scores),
    ):
        (finished / name).write_text('{"format": 2}')
        with pytest.raises(SteermoeError, match=f"{name} has format 2, and this steermoe reads 1; use "):
            read()


def test_reading_imports_nothing_heavy() -> None:
    """Records and their door are for commands that start at once."""
    code = "import sys, steermoe_core.run.folder.finished; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "datasets", "numpy"} & set(done.stdout.split())
