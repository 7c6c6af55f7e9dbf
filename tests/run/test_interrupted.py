"""Whatever ends a run, nothing is lost, and the same command goes on to the same numbers."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch

from tests.misbehaving import full
from tests.rig import STEPS, files, metrics, sentence, status, texts, told, trained, until

if TYPE_CHECKING:
    from tests.rig import Rig


@attrs.frozen
class Outcome:
    """What counts of a finished run: tensors, metrics, texts and the names of its files."""

    tensors: bytes
    metrics: list[dict[str, Any]]
    texts: list[dict[str, str]]
    files: set[str]

    @classmethod
    def of(cls, run: Path) -> Outcome:
        """Read the outcome of a run, which must be finished."""
        assert status(run)["state"] == "finished"
        return cls(
            trained(run), metrics(run), [texts(run, split) for split in ("dev", "other")], lasting(run)
        )


_WHOLE: list[Outcome] = []  # the same for every test: neither seed nor data depend on the place


@pytest.fixture
def whole(rig: Rig, tmp_path: Path) -> Outcome:
    """Return the outcome of the same run, never interrupted."""
    if not _WHOLE:
        runs, rig.runs = rig.runs, tmp_path / "whole"
        _WHOLE.append(Outcome.of(rig.run()))
        rig.runs = runs
    return _WHOLE[0]


def lasting(run: Path) -> set[str]:
    """Return the names of a run's files; of its checkpoints, only the last: others depend on the stops."""
    last = f"checkpoints/step-{STEPS}/"
    return {name for name in files(run) if not name.startswith("checkpoints/") or name.startswith(last)}


class TestKill:
    """kill -9: the process has no last word."""

    @pytest.mark.parametrize(
        ("what", "checkpoints"),
        [
            ("kill@5", {"step-2", "step-4"}),
            ("kill_while_saving@4", {"step-2", ".step-4.partial"}),
            ("kill_while_scoring@6", {"step-4", "step-6"}),
            ("kill_while_writing_scores@6", {"step-4", "step-6"}),
        ],
    )
    def test_same_command_goes_on(self, rig: Rig, whole: Outcome, what: str, checkpoints: set[str]) -> None:
        """In training, while a checkpoint is written, in an evaluation, while scores are written."""
        process = rig.process(RIG=what)
        process.communicate()
        run = rig.path()
        assert process.returncode == -signal.SIGKILL
        assert {path.name for path in (run / "checkpoints").iterdir()} == checkpoints
        assert status(run)["state"] == "running"

        rig.run()

        assert Outcome.of(run) == whole

    def test_before_the_first_checkpoint(self, rig: Rig, whole: Outcome) -> None:
        """The run starts anew; metrics of the lost steps are written once."""
        rig.process(RIG="kill@1").communicate()

        assert Outcome.of(rig.run()) == whole


class TestInterrupt:
    """Ctrl-C and SIGTERM."""

    def test_training(
        self, rig: Rig, whole: Outcome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The step is finished and saved, the exit code is 130, the same command goes on."""
        monkeypatch.setenv("RIG", "interrupt@3")
        run = rig.run(expect=130)

        assert "stopped after step 3; the same command resumes from there\n" in capsys.readouterr().err
        assert (status(run)["state"], status(run)["step"]) == ("interrupted", 3)
        assert rig.hooks[-1] == "run_failed"

        monkeypatch.delenv("RIG")
        rig.run()

        assert "resuming from step 3\n" in capsys.readouterr().err
        assert Outcome.of(run) == whole

    @pytest.mark.parametrize("what", ["interrupt@3", "interrupt@5", "kill@5"])
    def test_journal(self, rig: Rig, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever a line sums up, it is the line of the run that was never stopped; only times differ."""
        sets = (
            "train.log_every=4",
            "train.validate.every=2",
            'data.validate={use="folder", path="other"}',
            'callbacks=[{use="rig"}, {use="steering-analysis", every=3}]',
        )
        runs, rig.runs = rig.runs, tmp_path / "whole"
        whole = metrics(rig.run(*sets))
        rig.runs = runs
        if what.startswith("kill"):
            rig.process(*sets, RIG=what).communicate()
        else:
            with monkeypatch.context() as patch:
                patch.setenv("RIG", what)
                rig.run(*sets, expect=130)

        stopped = metrics(rig.run(*sets))

        assert stopped == whole
        assert [line["step"] for line in whole if "loss" in line] == [4, STEPS]

    def test_last_step(self, rig: Rig, whole: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
        """A Ctrl-C in the last step is not forgotten: nothing is scored."""
        monkeypatch.setenv("RIG", f"interrupt@{STEPS}")
        run = rig.run(expect=130)
        assert not (run / "evaluations").exists()

        monkeypatch.delenv("RIG")
        rig.run()

        assert Outcome.of(run) == whole

    def test_scoring(self, rig: Rig, whole: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
        """Splits that were scored stay; the others are scored by the same command."""
        from steermoe_core.evaluate.evaluation import Evaluator

        def interrupted(self: Evaluator, *_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Evaluator, "_without_audio", interrupted)
            run = rig.run(expect=130)
        assert status(run)["state"] == "interrupted"

        rig.run()

        assert Outcome.of(run) == whole


class TestTwoAtOnce:
    """One folder, two processes."""

    def test_second_is_refused_and_first_is_unharmed(
        self, rig: Rig, whole: Outcome, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The sentence has the first one's process number."""
        first = rig.process(RIG="wait@3")
        until(lambda: (rig.folder / "waiting").exists() or first.poll() is not None)
        capsys.readouterr()

        run = rig.run(expect=1)

        assert sentence(capsys) == f"{run} is in use by process {first.pid}; wait for it or stop it"
        (rig.folder / "go").touch()
        _, err = first.communicate()
        assert first.returncode == 0, err
        assert Outcome.of(run) == whole


class TestFullDisk:
    """No room for a file."""

    def test_while_a_checkpoint_is_saved(self, rig: Rig, whole: Outcome) -> None:
        """A sentence says which file and what to do; the checkpoint before it is intact."""
        process = rig.process(RIG="fill_the_disk@3")
        _, err = process.communicate()
        run = rig.path()

        assert process.returncode == 1
        said = told(err)
        assert " was not saved (" in said
        assert said.endswith("; raise the limit of file sizes (`ulimit -f`), then run the same command")
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-2"]

        rig.run()

        assert Outcome.of(run) == whole

    @pytest.mark.parametrize(
        "name", ["status.json", "lock.json", "experiment.toml", "adapter.json", "scores.json"]
    )
    def test_while_a_small_file_is_written(
        self,
        rig: Rig,
        whole: Outcome,
        name: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The run stops with its name, for every file of its folder."""
        real = Path.write_text

        def scarce(path: Path, *given: object, **named: object) -> int:
            return full() if name in path.name else real(path, *given, **named)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", scarce)
            run = rig.run(expect=1)
        said = sentence(capsys)
        assert name in said
        assert f"[Errno {errno.ENOSPC}]" in said
        assert not list(run.rglob("*.partial"))

        rig.run()

        assert Outcome.of(run) == whole

    def test_while_metrics_are_written(
        self, rig: Rig, whole: Outcome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A run without its metrics is half a run: it stops at once, the same command writes all."""
        from steermoe_core.train import journal

        with monkeypatch.context() as patch:
            patch.setattr(journal, "json", SimpleNamespace(dumps=full))
            run = rig.run(expect=1)
        assert f"{run / 'metrics.jsonl'} was not saved" in sentence(capsys)

        rig.run()

        assert Outcome.of(run) == whole

    def test_folder_that_cannot_be_made(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """A file stands where run folders should go."""
        rig.runs.write_text("no folder")

        rig.run(expect=1)

        said = sentence(capsys)
        assert f"{rig.path()} was not saved" in said
        assert said.endswith(", or choose another --runs folder")


def test_disk_that_becomes_read_only(rig: Rig, whole: Outcome) -> None:
    """The sentence says so; the same command goes on when it is writable again."""
    process = rig.process(RIG="read_only@5")
    _, err = process.communicate()
    run = rig.path()

    assert process.returncode == 1
    said = told(err)
    assert said.startswith(str(run))
    assert said.endswith(
        "; make its file system writable (it is mounted read-only), then run the same command"
    )

    rig.run()

    assert Outcome.of(run) == whole


class TestDamage:
    """Checkpoints that are not what was written."""

    @pytest.fixture
    def stopped(self, rig: Rig, whole: Outcome, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return a run with checkpoints of steps 4 and 5."""
        with monkeypatch.context() as patch:
            patch.setenv("RIG", "interrupt@5")
            return rig.run(expect=130)

    def test_truncated_one_is_left_behind(
        self, rig: Rig, whole: Outcome, stopped: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A warning says which and why; the run goes on from the one before."""
        path = stopped / "checkpoints" / "step-5" / "trained.safetensors"
        os.truncate(path, 100)

        rig.run()

        assert (
            f"checkpoint {path.parent} is damaged (trained.safetensors was changed or cut short)"
            in caplog.text
        )
        assert Outcome.of(stopped) == whole

    def test_all_damaged(self, rig: Rig, stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The run does not silently start anew."""
        for path in (stopped / "checkpoints").glob("*/optimizer.pt"):
            path.write_bytes(b"rubbish")

        rig.run(expect=1)

        folder = stopped / "checkpoints"
        assert (
            sentence(capsys)
            == f"every checkpoint in {folder} is damaged; delete that folder to train from the start"
        )

    def test_damaged_status_is_not_the_end(self, rig: Rig, whole: Outcome, stopped: Path) -> None:
        """A status.json that is cut short is that of a run to go on with."""
        os.truncate(stopped / "status.json", 9)

        rig.run()

        assert Outcome.of(stopped) == whole


class TestChangedSurroundings:
    """What a run began with is not there any more."""

    @pytest.fixture
    def stopped(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return a run that stopped at step 3."""
        with monkeypatch.context() as patch:
            patch.setenv("RIG", "interrupt@3")
            return rig.run(expect=130)

    def test_other_training_data(self, rig: Rig, stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The order of the clips would be another one: the run refuses to go on."""
        table = rig.folder / "train" / "metadata.csv"
        before = table.read_text()
        table.write_text(before.replace("seven", "nine"))

        rig.run(expect=1)

        said = sentence(capsys)
        assert said.startswith(f"{stopped} cannot resume: its training data changed since it began")
        table.write_text(before)
        rig.run()

    def test_other_base_model(self, rig: Rig, stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Trained tensors belong to the weights they were trained on."""
        from steermoe_core.model import decoder

        class Other(decoder.CausalLM):
            def __init__(self, config: object) -> None:
                super().__init__(config)
                with torch.no_grad():
                    self.embeddings[0] += 1

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoder, "CausalLM", Other)
            rig.run(expect=1)

        assert f"{stopped} cannot resume: its decoder changed since it began" in sentence(capsys)
