"""A signal to stop, whenever it comes: the run says it was interrupted, and resumes to the same bytes."""

from __future__ import annotations

import importlib
import os
import signal
from itertools import cycle
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pytest

from tests.rig import metrics, status, texts, trained

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

#: Goes through every phase: frames are kept, the projector begins with a ridge start, and training validates.
ALL = (
    'adapter={use="none"}',
    'projector={use="linear", start="ridge"}',
    'data.validate={use="folder", path="dev"}',
    "train.keep_frames=true",
    "train.steps=4",
    "train.validate.every=2",
)
#: What the process is about to do when the signal comes: a function, and which call of it.
PHASES = {
    "loading parts": ("run.assembly.builder:Builder.model", 1),
    "reading data": ("run.assembly.builder:Builder.train_examples", 1),
    "encoding kept frames": ("run.training.frames:FrameStore._encoded", 4),
    "the ridge start": ("model.ridge:Ridge.add", 2),
    "inside a step": ("model.joined:Joined.forward", 3),
    "between steps": ("train.callbacks:JournalWriter.on_log", 1),
    "validation": ("evaluate.evaluation:Evaluator.evaluate", 1),
    "writing a checkpoint": ("train.checkpoint:_seal", 1),
    "writing the last checkpoint": ("train.checkpoint:_seal", 2),
    "writing the adapter": ("run.folder.adapter:save_trained", 1),
    "scoring": ("run.scoring.split:Evaluator.evaluate", 3),
    "writing scores": ("run.scoring.split:write_scores", 1),
    "certificates": ("run.certify.certify:model_proofs", 1),
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
#: Training has its own handler of signals; what is before and after it has the program's.
HANDLERS = ("loading parts", "inside a step", "scoring")
#: Each handler with every signal, and each of the other phases with one of them.
CASES = [(phase, number) for phase in HANDLERS for number in SIGNALS]
CASES += zip((phase for phase in PHASES if phase not in HANDLERS), cycle(SIGNALS), strict=False)

_WHOLE: list[tuple[Any, ...]] = []  # the same for every test: neither seed nor data depend on the place


def outcome(run: Path) -> tuple[Any, ...]:
    """Return what counts of a finished run: tensors, metrics and texts."""
    assert status(run)["state"] == "finished"
    assert (run / "report" / "index.html").is_file()
    return trained(run), metrics(run), texts(run), texts(run, "other")


@pytest.fixture
def whole(rig: Rig, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    """Return the outcome of the same run, never interrupted; each test has a cache of its own."""
    if not _WHOLE:
        with monkeypatch.context() as patch:
            patch.setattr(rig, "runs", rig.folder / "whole")
            _WHOLE.append(outcome(rig.run(*ALL)))
        rmtree(own_cache / "frames")
    return _WHOLE[0]


@pytest.fixture(autouse=True)
def _heeded() -> Any:
    """Let SIGHUP have its default effect, though the tests may be run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(patch: pytest.MonkeyPatch, number: signal.Signals, place: str, call: int) -> None:
    """Have this process send itself a signal when it is about to call a function for the n-th time."""
    module, _, names = place.partition(":")
    owner: Any = importlib.import_module(f"steermoe_core.{module}")
    *outer, name = names.split(".")
    for one in outer:
        owner = getattr(owner, one)
    real, calls = getattr(owner, name), iter(range(1, 1000))

    def signalled(*given: Any, **named: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), number)
        return real(*given, **named)

    patch.setattr(owner, name, signalled)


@pytest.mark.parametrize(
    ("phase", "number"), CASES, ids=[f"{phase}-{number.name}" for phase, number in CASES]
)
def test_run_is_interrupted_and_goes_on(
    rig: Rig, whole: tuple[Any, ...], phase: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130, status.json says so, nothing half is left; the same command ends as if undisturbed."""
    with monkeypatch.context() as patch:
        send(patch, number, *PHASES[phase])
        run = rig.run(*ALL, expect=130)

    found = status(run)
    assert (found["state"], found["error"]) == ("interrupted", None)
    assert not (run / ".claim").exists()
    assert not list(run.rglob("*.partial"))

    rig.run(*ALL)

    assert outcome(run) == whole


def test_report_is_written_by_the_same_command(
    rig: Rig, whole: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is finished when its page is written: the page alone is missing."""
    with monkeypatch.context() as patch:
        send(patch, signal.SIGTERM, "report.page:page", 1)
        run = rig.run(*ALL, expect=130)
    assert status(run)["state"] == "finished"
    assert not (run / "report").exists()

    rig.run(*ALL)

    assert outcome(run) == whole


def test_nohup_is_respected(rig: Rig, whole: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGHUP that is ignored interrupts nothing, neither in training nor elsewhere."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for phase in ("loading parts", "inside a step", "scoring"):
        send(monkeypatch, signal.SIGHUP, *PHASES[phase])

    assert outcome(rig.run(*ALL)) == whole


def test_second_signal_acts_at_once(
    rig: Rig, whole: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for the end of the step; the run goes on from the checkpoint before."""
    with monkeypatch.context() as patch:
        send(patch, signal.SIGTERM, "model.joined:Joined.forward", 3)
        send(patch, signal.SIGTERM, "model.joined:Joined.answer_losses", 3)
        run = rig.run(*ALL, expect=130)
    assert status(run)["state"] == "interrupted"
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-2"]

    rig.run(*ALL)

    assert outcome(run) == whole
