"""Several processes are started once, stopped once, and told of once; what they leave is one process's."""

from __future__ import annotations

import base64
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.cli.main import main
from steermoe_core.config.experiment import TrainConfig
from steermoe_core.errors import ExitCode, SetupError, UsageError
from steermoe_core.study import launch as module
from steermoe_core.study.launch import Places, command, environment, launch, read_hostfile
from tests.rig import STEPS, files, metrics, sentence, status, texts, told, trained, until

if TYPE_CHECKING:
    from tests.rig import Rig

RUN = Path("runs/a-12345678")
STAGE = "train.deepspeed.stage=2"


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """Return a hostfile of two machines."""
    path = tmp_path / "hosts"
    path.write_text("# our machines\nworker-1 slots=2\n\nworker-2 slots=4  # the new one\n")
    return path


class TestPlaces:
    """Which processes run where."""

    def test_on_this_machine(self) -> None:
        """So many processes, or one on each of the named GPUs."""
        assert Places.chosen(3, None, "").slots == {"localhost": [0, 1, 2]}
        assert Places.chosen(None, None, "localhost:5,2").slots == {"localhost": [2, 5]}

    def test_on_several_machines(self, hosts: Path) -> None:
        """All that the hostfile has, so many on each, or the named ones."""
        assert Places.chosen(None, hosts, "").slots == {"worker-1": [0, 1], "worker-2": [0, 1, 2, 3]}
        assert Places.chosen(2, hosts, "").slots == {"worker-1": [0, 1], "worker-2": [0, 1]}
        assert Places.chosen(None, hosts, "worker-1@worker-2:3").slots == {
            "worker-1": [0, 1],
            "worker-2": [3],
        }
        assert Places.chosen(None, hosts, "").most == 4

    @pytest.mark.parametrize(
        ("nproc", "include", "sentence"),
        [
            (3, "", r"--nproc is 3, but the hostfile gives worker-1 only 2 slots"),
            (None, "worker-3:0", r'there is no machine "worker-3"; the hostfile has worker-1, worker-2'),
            (None, "worker-1:0,2", r"worker-1 has no slot 2; the hostfile gives it 2"),
            (None, "worker-1:a", r'"worker-1:a" must be like "localhost:0,1"'),
            (None, "", None),
        ],
    )
    def test_what_the_hostfile_does_not_have(
        self, hosts: Path, nproc: int | None, include: str, sentence: str | None
    ) -> None:
        """The message says what it has."""
        if sentence is None:
            Places.chosen(nproc, hosts, include)
            return
        with pytest.raises(UsageError, match=sentence):
            Places.chosen(nproc, hosts, include)

    @pytest.mark.parametrize(
        ("nproc", "include", "sentence"),
        [
            (None, "", "say how many processes there are"),
            (2, "localhost:0", "--nproc and --include both say how many"),
            (None, "localhost", "say which slots of localhost"),
            (None, "worker-1:0", 'there is no machine "worker-1"; without --hostfile there is localhost'),
        ],
    )
    def test_what_this_machine_alone_does_not_have(
        self, nproc: int | None, include: str, sentence: str
    ) -> None:
        """The message says what to write."""
        with pytest.raises(UsageError, match=sentence):
            Places.chosen(nproc, None, include)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("worker-1 slots=2\nworker-2 slots=x\n", r':2: "worker-2 slots=x" must be like'),
            ("worker-1\n", r':1: "worker-1" must be like "worker-1 slots=8"'),
            ("worker-1 slots=0\n", r":1: .* must be like"),
            ("a slots=1\na slots=2\n", r':2: "a slots=2" is there twice'),
            ("# nobody\n\n", "names no machine"),
            (None, "cannot be read"),
        ],
    )
    def test_bad_hostfile(self, tmp_path: Path, text: str | None, sentence: str) -> None:
        """The line is named and shown."""
        path = tmp_path / "hosts"
        if text is not None:
            path.write_text(text)

        with pytest.raises(UsageError, match=sentence):
            read_hostfile(path)


class TestCommand:
    """DeepSpeed's command line."""

    def test_on_this_machine(self) -> None:
        """Its launcher starts this package as a module, with the world in it and the words behind it."""
        words = command(Places.chosen(2, None, ""), 29511, RUN, ["run", "a.toml", "--json"])

        assert words[:4] == [sys.executable, "-u", "-m", "deepspeed.launcher.launch"]
        assert words[-5:] == ["steermoe_core.study.rank", str(RUN), "run", "a.toml", "--json"]
        assert "--master_port=29511" in words
        (world,) = [word.partition("=")[2] for word in words if word.startswith("--world_info")]
        assert json.loads(base64.urlsafe_b64decode(world)) == {"localhost": [0, 1]}

    def test_on_several_machines(self, hosts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its runner reaches them; every machine's slots are spelt out."""
        monkeypatch.setattr(module.shutil, "which", lambda _: "/usr/bin/pdsh")
        words = command(Places.chosen(1, hosts, ""), None, RUN, ["run", "a.toml"])

        assert words[3] == "deepspeed.launcher.runner"
        assert {f"--hostfile={hosts}", "--include=worker-1:0@worker-2:0"} <= set(words)

    def test_without_deepspeed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The sentence says what to install."""
        monkeypatch.setattr(module, "find_spec", lambda _: None)

        with pytest.raises(SetupError, match=r"pip install steermoe\[deepspeed\]") as caught:
            command(Places.chosen(2, None, ""), None, RUN, [])
        assert caught.value.exit_code == ExitCode.ENVIRONMENT

    def test_without_pdsh(self, hosts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other machines cannot be reached."""
        monkeypatch.setattr(module.shutil, "which", lambda _: None)

        with pytest.raises(SetupError, match="several machines need pdsh"):
            command(Places.chosen(None, hosts, ""), None, RUN, [])

    def test_processes_share_the_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Unless the experiment or the user says how many each takes."""
        monkeypatch.setattr(module, "cores", lambda: 8)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        places = Places.chosen(3, None, "")

        assert environment(places, TrainConfig(steps=1))["OMP_NUM_THREADS"] == "2"
        assert environment(places, TrainConfig(steps=1, threads=5))["OMP_NUM_THREADS"] == "5"
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        assert environment(places, TrainConfig(steps=1))["OMP_NUM_THREADS"] == "7"


class TestExitCode:
    """What the processes end with."""

    @pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 130])
    def test_is_passed_on(self, code: int) -> None:
        """Whatever steermoe itself ends with."""
        assert launch([sys.executable, "-c", f"exit({code})"], os.environ, local=True) == code

    @pytest.mark.parametrize("code", ["247", "-9"])
    def test_of_a_killed_process(self, code: str) -> None:
        """247 is what DeepSpeed's launcher makes of -9."""
        script = "import os; os.kill(os.getpid(), 9)" if code == "-9" else f"exit({code})"

        with pytest.raises(SetupError, match="was ended by signal 9; the same command resumes"):
            launch([sys.executable, "-c", script], os.environ, local=True)


class TestBeforeAnyProcess:
    """What is wrong is told once, here."""

    def test_mistakes_in_the_experiment(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """As `check` tells them."""
        assert main(["launch", "--nproc", "2", *rig.words("train.stepz=1")]) == 2
        assert 'did you mean "steps"?' in capsys.readouterr().err

    def test_no_process(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """There is at least one."""
        assert main(["launch", "--nproc", "0", *rig.words()]) == 2
        assert "--nproc: '0' is not a whole number of at least 1" in sentence(capsys)

    def test_a_run_that_wants_deepspeed(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Says what to install; without the table DeepSpeed is not asked for."""
        monkeypatch.setattr("steermoe_core.train.deepspeed.find_spec", lambda _: None)

        rig.run(STAGE, expect=4)

        assert sentence(capsys) == "DeepSpeed is not installed; `pip install steermoe[deepspeed]` brings it"
        rig.run()


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # of what DeepSpeed imports
def test_runs_after_each_other(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process, each run has a new group; no model and no shared memory is left of the one before."""
    from steermoe_core.model.joined import Joined
    from steermoe_core.run import execute
    from steermoe_core.train import ranks

    alive: list[int] = []
    certify = execute.certify

    def looked(*given: Any) -> Any:
        gc.collect()
        alive.append(sum(type(one) is Joined for one in gc.get_objects()))
        return certify(*given)

    monkeypatch.setattr(execute, "certify", looked)
    ports: list[str] = []
    lone_variables = ranks._lone_variables

    def noted() -> dict[str, str]:
        variables = lone_variables()
        ports.append(variables["MASTER_PORT"])
        return variables

    monkeypatch.setattr(ranks, "_lone_variables", noted)
    experiments = []
    for stage in (2, 3):
        experiments.append(rig.folder / f"stage{stage}.toml")
        experiments[-1].write_text(f'extends = "tiny.toml"\n[train.deepspeed]\nstage = {stage}\n')
    experiments.append(rig.file)

    assert main(["run", *map(str, experiments), "--runs", str(rig.runs)]) == 0
    assert alive == [0, 0, 0]
    assert len(ports) == 2  # of the runs with DeepSpeed
    assert [file for port in ports for file in Path("/dev/shm").glob(f"*_{port}_*")] == []  # noqa: S108
    assert (rig.path() / "checkpoints" / f"step-{STEPS}" / "optimizer.pt").is_file()  # one without DeepSpeed


@pytest.mark.timeout(600)  # as many processes as there are cores, and more
class TestTwoProcesses:
    """Runs that are disturbed, and come out as one undisturbed process would have them."""

    @pytest.fixture
    def alone(self, rig: Rig) -> Path:
        """Return the run of one process that accumulates twice as often."""
        return rig.run("train.accumulation=2")

    def test_that_were_stopped_go_on(self, rig: Rig, alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Ctrl-C ends the step, saves and ends all; the same command goes on to the same bytes."""
        stopped = started(rig, STAGE, RIG="wait_for_a_signal@3")
        until(lambda: (rig.folder / "waiting").exists() or stopped.poll() is not None, seconds=240)
        stopped.send_signal(signal.SIGINT)
        _, err = stopped.communicate(timeout=240)
        run = rig.path(STAGE)
        step = status(run)["step"]

        assert (stopped.returncode, told(err)) == (130, "interrupted")
        assert f"stopped after step {step}; the same command resumes from there\n" in err
        assert (status(run)["state"], step) == ("interrupted", 3)
        assert {"optimizer_0.pt", "optimizer_1.pt", "trained.safetensors"} <= {
            path.name for path in (run / "checkpoints" / f"step-{step}").iterdir()
        }

        rig.run(STAGE, expect=1)
        assert "began with 2 processes and cannot resume with 1" in sentence(capsys)

        ended = started(rig, STAGE)
        out, err = ended.communicate(timeout=240)
        assert ended.returncode == 0, err
        assert same(run, alone)
        assert out.count(f"run folder: {run}") == 1
        assert err.count(f"resuming from step {step}\n") == 1
        assert rig.hooks[-3:] == ["run_failed", "before_run", "after_run"]

    def test_of_which_one_was_killed_name_it(self, rig: Rig) -> None:
        """Which rank, on which machine, by which signal; the exit code is 4, status.json says the same."""
        broken = started(rig, RIG="kill@3", RIG_RANK="0")
        _, err = broken.communicate(timeout=240)

        assert broken.returncode == ExitCode.ENVIRONMENT
        assert (status(rig.path())["state"], status(rig.path())["error"]) == ("failed", ending(err, 0))

    @pytest.mark.parametrize(
        ("number", "where"),
        [(signal.SIGTERM, "wait_while_scoring@6"), (signal.SIGHUP, "wait_while_certifying@6")],
    )
    def test_that_were_stopped_after_training_go_on(
        self, rig: Rig, alone: Path, number: signal.Signals, where: str
    ) -> None:
        """Whatever the signal, and whatever a process does: rank 0 says so, and the same command goes on."""
        stopped = started(rig, RIG=where)
        until(lambda: (rig.folder / "waiting").exists() or stopped.poll() is not None, seconds=240)
        stopped.send_signal(number)
        _, err = stopped.communicate(timeout=240)
        run = rig.path()

        assert (stopped.returncode, told(err)) == (130, "interrupted")
        assert status(run)["state"] == "interrupted"

        finished(started(rig))
        assert same(run, alone)

    def test_of_which_one_died_go_on(self, rig: Rig, alone: Path) -> None:
        """No process outlives another; what there is to say is said once."""
        broken = started(rig, RIG="fail@3", RIG_RANK="1")
        _, err = broken.communicate(timeout=240)
        run = rig.path()

        assert broken.returncode == 1
        assert err.count("steermoe: clip 7 fell apart\n") == err.count("steermoe: ") == 1
        assert "Traceback" not in err
        assert (status(run)["state"], status(run)["error"]) == ("failed", "clip 7 fell apart")

        finished(started(rig))
        assert same(run, alone)
        assert set(files(run / "evaluations")) == set(files(alone / "evaluations"))

    @pytest.mark.slow
    def test_of_which_one_was_killed_go_on(self, rig: Rig, tmp_path: Path) -> None:
        """By kill -9, where DeepSpeed splits everything: to the bytes of an undisturbed run."""
        split = "train.deepspeed.stage=3"
        runs, rig.runs = rig.runs, tmp_path / "whole"
        finished(started(rig, split))
        whole = rig.path(split)
        rig.runs = runs

        broken = started(rig, split, RIG="kill@5", RIG_RANK="1")
        _, err = broken.communicate(timeout=240)
        assert status(rig.path(split))["error"] == ending(err, 1)

        assert finished(started(rig, split)).count("resuming from step 4\n") == 1
        assert same(rig.path(split), whole)


def ending(err: str, rank: int) -> str:
    """Return the only sentence on stderr, which says how a rank ended."""
    assert "Traceback" not in err
    (said,) = [line.removeprefix("steermoe: ") for line in err.splitlines() if "steermoe: " in line]
    assert said.startswith(f"rank {rank} of 2 on {socket.gethostname()} was ended by SIGKILL (")
    assert said.endswith("; the same command resumes from the last checkpoint")
    return said


def finished(process: subprocess.Popen[str]) -> str:
    """Return what a process that succeeds says on stderr."""
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return err


def started(rig: Rig, *sets: str, **environment: str) -> subprocess.Popen[str]:
    """Start `steermoe launch` with two processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "steermoe_core", "launch", "--nproc", "2", *rig.words(*sets)],
        env={**os.environ, "PYTHONPATH": rig.paths, **environment},
        cwd=rig.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs here; nohup
    )


def same(run: Path, other: Path) -> bool:
    """Compare tensors and texts to the byte, and metrics nearly."""
    for one, two in zip(metrics(run), metrics(other), strict=True):
        assert one["step"] == two["step"]
        assert one["loss"] == pytest.approx(two["loss"], abs=1e-5)
    for split in ("dev", "other"):
        assert texts(run, split) == texts(other, split)
        ours, theirs = (
            json.loads((folder / "evaluations" / split / "scores.json").read_text())
            for folder in (run, other)
        )
        assert ours["metrics"] == theirs["metrics"]
        assert ours["audio_tokens_per_second"] == theirs["audio_tokens_per_second"]
        for layer, same_layer in zip(ours["steering"], theirs["steering"], strict=True):
            assert all(layer[key] == pytest.approx(same_layer[key], abs=1e-5) for key in same_layer)
    return trained(run) == trained(other)
