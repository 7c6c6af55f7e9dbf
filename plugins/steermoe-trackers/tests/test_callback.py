"""No tracker stops a run, and no run sends anything twice."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest
from transformers import TrainerControl, TrainerState

from steermoe_core import Step
from steermoe_core.testing import CallbackSuite
from steermoe_core.train.journal import Journal
from steermoe_trackers.callback import Tracking
from steermoe_trackers.config import TrackerConfig
from steermoe_trackers.tracker import State, Tracker
from tests.rig import trained

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.rig import Rig, Trained

END = "no answer for 0.2 s; the run continues, and does not wait for it"


class TestTensorboard(CallbackSuite):
    """What every callback of steermoe promises."""

    component = "tensorboard"


class TestTrackio(CallbackSuite):
    """Same."""

    component = "trackio"


class TestWandb(CallbackSuite):
    """Same."""

    component = "wandb"
    settings: ClassVar = {"offline": True}


class TestMlflow(CallbackSuite):
    """Same."""

    component = "mlflow"


class Recorder(Tracker):
    """Records its calls; one of them fails or hangs."""

    def __init__(self, breaks: str = "", how: Callable[[], Any] | None = None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.breaks, self.how = breaks, how

    def _call(self, name: str, *values: Any) -> None:
        self.calls.append((name, *values))
        if name == self.breaks and self.how:
            self.how()

    def start(self, run: Any, state: State) -> State:
        self._call("start", state.id, state.step)
        return attrs.evolve(state, id="id-7")

    def log(self, figures: Any) -> None:
        self._call("log", figures.step)

    def clips(self, split: str, clips: Any, step: int) -> None:
        self._call("clips", split)

    def files(self, paths: Any) -> None:
        self._call("files", *(path.name for path in paths))

    def close(self, error: BaseException | None) -> None:
        self._call("close", error)


def fail() -> None:
    """Raise what a client raises without a network."""
    msg = "connection refused.\nretry later"
    raise OSError(msg)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run folder before its first step."""
    (tmp_path / "experiment.toml").write_text("[train]\nsteps = 3\n")
    (tmp_path / "lock.json").write_text("{}")
    return tmp_path


def follow(folder: Path, tracker: Tracker, steps: range = range(1, 4), *, first: bool = True) -> None:
    """Go through the events of a run."""
    callback = Tracking("recorder", tracker, TrackerConfig(timeout=0.2))
    callback.journal = Journal(folder / "metrics.jsonl")
    callback.journal.rewind(steps.start - 1)
    callback.journal.watchers = [callback.on_record]
    callback.on_train_begin(None, TrainerState(is_world_process_zero=first), TrainerControl())
    if first:
        for step in steps:
            callback.journal.report(Step(step=step, loss=1.0 / step))
        (folder / "certificates.json").write_text("{}")
        callback.on_run_end(None)


ALL = [("start", None, -1), ("files", "experiment.toml", "lock.json")]
END_OF_RUN = [("files", "lock.json", "certificates.json"), ("close", None)]


def test_every_step_is_sent_once(folder: Path) -> None:
    """In order, between the files of the beginning and those of the end."""
    tracker = Recorder()
    follow(folder, tracker)

    assert tracker.calls == [*ALL, ("log", 1), ("log", 2), ("log", 3), *END_OF_RUN]


def test_a_resumed_run_continues(folder: Path) -> None:
    """The same id; steps that were sent are not sent again, and one that was not is."""
    follow(folder, Recorder(), range(1, 6))
    kept = folder / "trackers" / "recorder.json"
    assert json.loads(kept.read_text()) == {"id": "id-7", "step": 5, "splits": []}

    again, missed = Recorder(), Recorder()
    follow(folder, again, range(3, 8))
    assert again.calls == [("start", "id-7", 5), ("log", 6), ("log", 7), *END_OF_RUN]
    kept.write_text('{"id": "id-7", "step": 1}')
    follow(folder, missed, range(3, 5))
    assert missed.calls[:4] == [("start", "id-7", 1), ("log", 2), ("log", 3), ("log", 4)]


def test_other_processes_send_nothing(folder: Path) -> None:
    """Only the first of several does."""
    tracker = Recorder()
    follow(folder, tracker, first=False)

    assert tracker.calls == []
    assert not (folder / "trackers").exists()


@pytest.mark.parametrize("breaks", ["start", "files", "log", "close"])
def test_an_error_is_one_warning(folder: Path, breaks: str, caplog: pytest.LogCaptureFixture) -> None:
    """At the start, in the middle, at the end: the run goes through, and the tracker is left alone."""
    tracker = Recorder(breaks, fail)
    follow(folder, tracker)

    assert [name for name, *_ in tracker.calls].count(breaks) == 1
    assert tracker.calls[-1][0] == breaks
    assert caplog.messages == ["tracker recorder: connection refused; the run continues without it"]


@pytest.mark.parametrize("breaks", ["start", "log", "close"])
def test_a_hang_is_one_warning(folder: Path, breaks: str, caplog: pytest.LogCaptureFixture) -> None:
    """The run waits at its start and at its end, and only for the timeout."""
    free = threading.Event()
    with caplog.at_level(logging.WARNING):
        follow(folder, Recorder(breaks, free.wait))
    free.set()

    assert caplog.messages == [f"tracker recorder: {END}"]


def test_a_client_that_fails_in_a_run(
    rig: Rig,
    trained_once: Callable[..., Trained],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The run finishes with one warning, and trains the same numbers as without a tracker."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard", reason="tensorboard is not installed")
    plain = trained(trained_once().copied(rig))
    monkeypatch.setattr(tensorboard.SummaryWriter, "add_audio", lambda *_: fail())
    capsys.readouterr()

    run = rig.run('callbacks=[{use="tensorboard", timeout=300.0}]')

    assert trained(run) == plain
    err = capsys.readouterr().err
    assert err.count("warning") == 1
    assert "warning: tracker tensorboard: connection refused; the run continues without it" in err


def test_a_server_of_mlflow_without_a_network(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One warning."""
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    from steermoe_trackers.clients.mlflow import MlflowCallback
    from steermoe_trackers.config import MlflowConfig

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    callback = MlflowCallback(MlflowConfig(uri="http://127.0.0.1:9", timeout=60.0))
    callback.journal = Journal(folder / "metrics.jsonl")
    callback.on_record(Step(step=1))
    callback.on_run_end(None)

    (message,) = [record.getMessage() for record in caplog.records if record.name == "steermoe"]
    assert message.startswith("tracker mlflow: API request to http://127.0.0.1:9/")
    assert message.endswith("; the run continues without it")


def test_wandb_without_credentials(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One warning that says what to do; nothing is asked, and no network is needed."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    from steermoe_trackers.clients.wandb import WandbCallback
    from steermoe_trackers.config import WandbConfig

    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    callback = WandbCallback(WandbConfig(timeout=60.0))
    callback.journal = Journal(folder / "metrics.jsonl")
    callback.on_run_end(None)

    (message,) = caplog.messages
    assert message == (
        "tracker wandb: there are no credentials; run `wandb login`, or set offline = true; "
        "the run continues without it"
    )
