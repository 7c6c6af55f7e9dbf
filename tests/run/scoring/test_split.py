"""An evaluation that was killed goes on where it was, and leaves what an undisturbed one leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.cli.main import main
from steermoe_core.evaluate import evaluation
from tests.misbehaving import full
from tests.rig import status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from steermoe_core.model.generate import Questions
    from tests.rig import Rig

#: Runs a command in a process that gets SIGKILL when it has kept so many batches.
DYING = """
import os, signal, sys
from steermoe_core.cli.main import main
from steermoe_core.evaluate.answered import Answered

put, left = Answered.put, [int(sys.argv[1])]

def dying(self, batch, answers):
    put(self, batch, answers)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

Answered.put = dying
sys.exit(main(sys.argv[2:]))
"""
CONTROLS = 'evaluate.controls=["no-audio","shuffled-audio"]'
#: Batches of a split of four clips, one by one: the model's, two controls, eight probes.
BATCHES = 4 + 4 + 4 + 8


def killed(rig: Rig, after: int, *words: str) -> None:
    """Run a command until it is killed."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(after), *words],
        env={**os.environ, "PYTHONPATH": rig.paths},
        cwd=rig.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def left(run: Path) -> dict[str, bytes]:
    """Return all that lies in the folder of evaluations, but for how long each took."""
    found = {str(path.relative_to(run)): path for path in (run / "evaluations").rglob("*") if path.is_file()}
    return {name: _timeless(path) for name, path in sorted(found.items())}


def _timeless(path: Path) -> bytes:
    if path.name != "scores.json":
        return path.read_bytes()
    return json.dumps({**json.loads(path.read_text()), "seconds": None}).encode()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the size of each batch that the model answers."""
    sizes: list[int] = []
    answers = evaluation.answer_all

    def counting(model: Any, questions: Iterable[Questions], *others: Any) -> Any:
        def counted() -> Iterator[Questions]:
            for one in questions:
                sizes.append(sum(limit > 0 for limit in one.limits))
                yield one

        return answers(model, counted(), *others)

    monkeypatch.setattr(evaluation, "answer_all", counting)
    return sizes


def test_killed_evaluation_goes_on(rig: Rig, counted: list[int]) -> None:
    """In a control, then in the probes: byte for byte the same, and nothing answered twice."""
    run = rig.run(CONTROLS)
    words = ("evaluate", str(run), "--again", "--batch-size", "1", "--split", "dev")
    assert main(list(words)) == 0
    expected = left(run)

    for after in (6, 9):
        killed(rig, after, *words)
    kept = run / "evaluations" / ".dev.answers" / "0.jsonl"
    assert len(kept.read_text().splitlines()) == 1 + 6 + 9
    counted.clear()
    assert main(list(words)) == 0

    assert left(run) == expected
    assert len(counted) == BATCHES - (6 + 9)


def test_killed_run_goes_on(rig: Rig, counted: list[int]) -> None:
    """The same holds for the evaluation at the end of a run."""
    killed(rig, 2, "run", *rig.words("evaluate.batch_size=1"))
    run = rig.path("evaluate.batch_size=1")
    assert status(run)["state"] == "running"

    rig.run("evaluate.batch_size=1")

    assert len(counted) == (4 + 1 + 8 - 2) + (3 + 1 + 8)
    found = left(run)
    assert main(["evaluate", str(run), "--again"]) == 0
    assert left(run) == found


@pytest.mark.parametrize("changed", ["another batch size", "another text"])
def test_answers_to_something_else_are_not_used(
    rig: Rig, counted: list[int], changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is answered, and nothing is left of the evaluation that was stopped."""
    run = rig.run()
    words = ["evaluate", str(run), "--again", "--split", "dev", "--batch-size"]
    with monkeypatch.context() as patch:
        patch.setattr(evaluation.Evaluator, "_without_audio", full)
        assert main([*words, "1"]) == 1
    assert (run / "evaluations" / ".dev.answers" / "0.jsonl").is_file()
    if changed == "another text":
        table = rig.folder / "dev" / "metadata.csv"
        table.write_text(table.read_text().replace("three", "four"))
    counted.clear()

    assert main([*words, "2" if changed == "another batch size" else "1"]) == 0

    assert sum(counted) == 4 + 1 + 8
    assert not any(".answers" in name for name in left(run))
