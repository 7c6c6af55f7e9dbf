"""`run(experiment)`: what `steermoe run` does, in a process that goes on."""

from __future__ import annotations

import logging
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from steermoe_core import ConfigError, DataError, Experiment, FinishedRun, PluginError, UsageError, run
from tests.misbehaving import Act
from tests.rig import STEPS, files, metrics, status, texts, trained, until

if TYPE_CHECKING:
    from tests.rig import Rig

_WHOLE: list[tuple[Any, ...]] = []  # the same for every test: neither seed nor data depend on the place


def outcome(folder: Path) -> tuple[Any, ...]:
    """Return what counts of a finished run: tensors, metrics and texts."""
    assert status(folder)["state"] == "finished"
    assert (folder / "report" / "index.html").is_file()
    return trained(folder), metrics(folder), texts(folder), texts(folder, "other")


@pytest.fixture
def whole(rig: Rig) -> tuple[Any, ...]:
    """Return the outcome of `steermoe run`."""
    if not _WHOLE:
        place, rig.runs = rig.runs, rig.folder / "whole"
        _WHOLE.append(outcome(rig.run()))
        rig.runs = place
    return _WHOLE[0]


@pytest.fixture
def experiment(rig: Rig) -> Experiment:
    """Return the experiment of the rig's file."""
    return Experiment.from_file(rig.file)


def surroundings() -> dict[str, Any]:
    """Return what of the process a script relies on."""
    return {
        "python": random.getstate(),
        "numpy": repr(np.random.get_state()),  # noqa: NPY002 - what libraries share
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "streams": (sys.stdout, sys.stderr),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "loggers": list(logging.getLogger("steermoe").handlers),
        "folder": Path.cwd(),
        "environment": dict(os.environ),
    }


class TestRun:
    """Train and score."""

    def test_is_the_run_of_the_command(
        self, rig: Rig, experiment: Experiment, whole: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The same folder, bit for bit, whatever random numbers were drawn before; stdout is left alone."""
        torch.rand(3)
        finished = run(experiment, rig.runs)

        assert finished.path == rig.path()
        assert outcome(finished.path) == whole
        out, err = capsys.readouterr()
        assert out == ""
        assert f"training: {STEPS} of {STEPS}, loss" in err

    def test_returns_typed_results(self, rig: Rig, experiment: Experiment) -> None:
        """Scores, predictions and steps as records, and as tables."""
        finished = run(experiment, str(rig.runs), quiet=True)

        assert isinstance(finished, FinishedRun)
        score = finished.scores["dev"].metrics["wer"]
        assert score.value == score.edits.errors / score.edits.reference
        predictions = finished.predictions("dev")
        assert [one.id for one in predictions] == list(predictions.to_pandas().id)
        assert [step.step for step in finished.metrics] == list(finished.metrics.to_pandas().step)
        assert finished.experiment.train.steps == STEPS

    def test_finished_run_is_returned_at_once(
        self, rig: Rig, experiment: Experiment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing is written again."""
        folder = run(experiment, rig.runs).path
        before = files(folder)
        capsys.readouterr()

        assert run(experiment, rig.runs).scores["dev"].examples == 4
        assert files(folder) == before
        assert capsys.readouterr().err == (
            f"{folder} is finished; change a setting for another run, or delete it to repeat it\n"
        )

    def test_quiet(self, rig: Rig, experiment: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing is printed."""
        run(experiment, rig.runs, quiet=True)
        assert capsys.readouterr() == ("", "")

    def test_device_is_a_setting(self, rig: Rig, experiment: Experiment) -> None:
        """That of the experiment changes nothing; another one is another run, and a wrong one an error."""
        assert run(experiment, rig.runs, device="cpu").path == rig.path()
        assert run(experiment, rig.runs, device="auto").path == rig.path("train.device=auto")
        with pytest.raises(
            ConfigError, match=r"the changes, train.device  error\[E104\] device must be one of"
        ):
            run(experiment, rig.runs, device="gpu")

    def test_missing_code_stops_it_before_anything_is_written(self, rig: Rig, experiment: Experiment) -> None:
        """As the command."""
        (rig.site.folder / "nowhere.py").write_text("import not_installed")
        rig.site.add("sick", SICK)
        with pytest.raises(PluginError, match='the code of metric "sick"'):
            run(Experiment.from_file(rig.file, {"metrics": [{"use": "sick"}]}), rig.runs)
        assert not rig.runs.exists()


SICK = """
from steermoe_core import Component, hookimpl

@hookimpl
def steermoe_metrics():
    yield Component(name="sick", api=1, summary="sick", config="fake_rig:Nothing", factory="nowhere:Sick")
"""


class TestEnds:
    """However it ends, the status says so, and the same call resumes to the same bytes."""

    def test_error(
        self, rig: Rig, experiment: Experiment, whole: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run's own error, never SystemExit."""
        monkeypatch.setenv("RIG", "fail@3")
        with pytest.raises(DataError, match=r"^clip 7 fell apart$"):
            run(experiment, rig.runs)
        assert (status(rig.path())["state"], status(rig.path())["error"]) == ("failed", "clip 7 fell apart")

        monkeypatch.delenv("RIG")
        assert outcome(run(experiment, rig.runs).path) == whole

    def test_component_that_ends_the_program(
        self, rig: Rig, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error that says so; the program does not end."""
        monkeypatch.setattr(Act, "_exit", lambda _: sys.exit(3), raising=False)
        monkeypatch.setenv("RIG", "exit@3")
        with pytest.raises(PluginError, match=r"^a component .* ended the program: SystemExit\(3\)$"):
            run(experiment, rig.runs)
        assert status(rig.path())["state"] == "failed"

    def test_interrupt(
        self,
        rig: Rig,
        experiment: Experiment,
        whole: tuple[Any, ...],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Ctrl-C ends it after the step, with a checkpoint."""
        monkeypatch.setenv("RIG", "interrupt@3")
        with pytest.raises(KeyboardInterrupt):
            run(experiment, rig.runs)
        assert status(rig.path())["state"] == "interrupted"
        assert "stopped after step 3; " in capsys.readouterr().err

        monkeypatch.delenv("RIG")
        assert outcome(run(experiment, rig.runs).path) == whole
        assert "resuming from step 3\n" in capsys.readouterr().err

    def test_scheduler(self, rig: Rig, experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
        """SIGTERM, which would end a script at once, acts like Ctrl-C, outside of training too."""
        monkeypatch.setattr(
            "steermoe_core.run.execute.adapter.identity", lambda _: os.kill(os.getpid(), signal.SIGTERM)
        )
        with pytest.raises(KeyboardInterrupt):
            run(experiment, rig.runs)
        assert status(rig.path())["state"] == "interrupted"


class TestProcess:
    """The process belongs to the script."""

    @pytest.mark.parametrize("end", ["", "fail@3", "interrupt@3"])
    def test_is_left_as_it_was(
        self, rig: Rig, experiment: Experiment, end: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Random numbers, threads, signals, streams, warnings, logging, folder and environment."""
        monkeypatch.setenv("RIG", end)
        torch.set_num_threads(2)
        before = surroundings()
        try:
            run(experiment, rig.runs)
        except (DataError, KeyboardInterrupt):
            assert end
        after = surroundings()
        torch.set_num_threads(1)
        assert {name: before[name] for name in before if before[name] != after[name]} == {}

    def test_runs_do_not_depend_on_those_before(
        self, rig: Rig, experiment: Experiment, whole: tuple[Any, ...]
    ) -> None:
        """Neither on their seed, nor on their precision or threads."""
        other = {
            "train.precision": "bf16",
            "experiment.seed": 5,
            "train.threads": 2,
            "train.schedule": "linear",
        }
        run(experiment.with_settings(other), rig.runs, quiet=True)
        assert outcome(run(experiment, rig.runs, quiet=True).path) == whole

    def test_other_thread(self, rig: Rig, experiment: Experiment, whole: tuple[Any, ...]) -> None:
        """Where Python delivers no signals."""
        with ThreadPoolExecutor(1) as pool:
            finished = pool.submit(run, experiment, rig.runs).result()
        assert outcome(finished.path) == whole

    def test_one_run_at_a_time(
        self, rig: Rig, experiment: Experiment, whole: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Random numbers are common to all threads, so a second run is refused; the first one is not hurt."""
        monkeypatch.setenv("RIG", "wait@3")
        thread = threading.Thread(target=run, args=(experiment, rig.runs))
        thread.start()
        until(Path("waiting").exists)
        try:
            with pytest.raises(UsageError, match=r"^another run is in progress in this process; "):
                run(experiment.with_settings({"train.steps": 3}), rig.runs)
        finally:
            Path("go").touch()
            thread.join()
        assert outcome(rig.path()) == whole
        assert run(experiment, rig.runs).path == rig.path()


def test_run_and_experiment_can_be_sent_to_a_process(rig: Rig, experiment: Experiment) -> None:
    """As `ProcessPoolExecutor.map(run, experiments)` does, and back comes the finished run."""
    function, again = pickle.loads(pickle.dumps((run, experiment)))  # noqa: S301 - made here

    assert function is run
    assert again.with_settings({"train.steps": 3}).digest in rig.path("train.steps=3").name
    finished = run(experiment, rig.runs, quiet=True)
    assert pickle.loads(pickle.dumps(finished)).scores == finished.scores  # noqa: S301 - made here


def test_package_is_the_function() -> None:
    """Whichever was imported first."""
    code = (
        "import steermoe_core.run.console; from steermoe_core import run; print(run.__name__, callable(run))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "steermoe_core.run True\n"
