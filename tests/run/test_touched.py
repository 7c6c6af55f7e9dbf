"""Run folders that people touched: a command names the file that is wrong in one sentence, or works."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from steermoe_core.cli.main import main
from steermoe_core.train import checkpoint
from tests.misbehaving import full
from tests.rig import STEPS, metrics, trained
from tests.run.copies import change, copied

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rig import Rig

#: Commands that read a finished run; the last ones load its model.
COMMANDS = (
    "results RUN",
    "results RUN --json",
    "results RUN OTHER --differences",
    "report RUN --open no",
    "report RUN OTHER --json",
    "evaluate RUN --from-predictions --pathologies",
    "push RUN me/it --dry-run",
    "doctor --runs runs",
    "run FILE",
    "sweep SWEEP --table",
    "evaluate RUN",
    "transcribe RUN dev/000.wav",
    "routing RUN",
    "certify RUN",
)
#: States of these are read by no command that loads the model.
LIGHT = ("metrics.jsonl", "status.json", "NOTES.md", "checkpoints")


@attrs.frozen
class State:
    """Something that a person did to a run folder.

    :param path: of the file in the folder.
    :param touch: does it to that file.
    :param said: what the commands that read the file say of it; empty: it is harmless, none says anything.
    """

    path: str
    touch: Callable[[Path], object]
    said: str = ""


def folder(path: Path) -> None:
    """Put a folder in the place of a file."""
    path.unlink(missing_ok=True)
    path.mkdir()


def write(path: Path, content: bytes) -> None:
    """Write other bytes."""
    path.write_bytes(content)


def delete(path: Path) -> None:
    """Delete a file or a folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def insert(path: Path, line: str) -> None:
    """Put a line behind the first."""
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([first, line, *others]) + "\n")


def copy(path: Path, name: str) -> None:
    """Copy a folder beside itself."""
    shutil.copytree(path, path.with_name(name))


def null(*keys: str) -> Callable[[Path], object]:
    """Return what makes a key of a JSON file null."""
    return lambda path: change(path, *keys, value=None)


NO_TEXT = '{"id": "x", "reference": "x", "hypothesis": null, "seconds": 1, "tokens": 1, "stop": ""}'
SCORES, ANSWERS = "evaluations/dev/scores.json", "evaluations/dev/predictions.jsonl"
LAST = f"checkpoints/step-{STEPS}"
STATES = {
    "a copy of a checkpoint": State(LAST, partial(copy, name=f"step-{STEPS}.bak")),
    "a copy of a checkpoint by a file manager": State(LAST, partial(copy, name=f"step-{STEPS} (copy)")),
    "notes": State("NOTES.md", partial(write, content=b"\xff")),
    "no checkpoints": State("checkpoints", delete),
    "no evidence": State("evidence.json", delete),
    "evidence of another shape": State(
        "evidence.json", partial(write, content=b'{"read": 3, "gradients": []}')
    ),
    "status is cut short": State("status.json", partial(write, content=b'{"sta')),
    "status of another shape": State("status.json", null("state")),
    "status is a folder": State("status.json", folder, "status.json is a folder, where a run writes how far"),
    "lock is lost": State("lock.json", delete),
    "lock: data is null": State("lock.json", null("data"), "lock.json is damaged (data is not a table)"),
    "lock: frozen is null": State(
        "lock.json", null("frozen"), "lock.json is damaged (frozen is not a table)"
    ),
    "lock: plugins is null": State(
        "lock.json", null("plugins"), "lock.json is damaged (plugins is not a table)"
    ),
    "lock: a set is null": State("lock.json", null("data", "dev"), "damaged (data.dev is not a table)"),
    "lock is no JSON": State(
        "lock.json", partial(write, content=b"{"), "lock.json is damaged (it is not JSON)"
    ),
    "lock is a folder": State("lock.json", folder, "lock.json is damaged (it is a folder)"),
    "journal: an empty table": State(
        "metrics.jsonl", partial(insert, line="{}"), "metrics.jsonl:2 is not a record"
    ),
    "journal: a number": State("metrics.jsonl", partial(insert, line="3"), "metrics.jsonl:2 is not a record"),
    "journal: a loss is null": State(
        "metrics.jsonl", partial(insert, line='{"step": 1, "loss": null}'), "(loss is not a number)"
    ),
    "journal is a folder": State(
        "metrics.jsonl", folder, "metrics.jsonl is a folder, where a run writes its steps"
    ),
    "the claim is a file": State(
        ".claim", partial(write, content=b"3"), ".claim'); something else has its name: move"
    ),
    "the claim is empty": State(".claim", Path.mkdir),
    "certificates of another shape": State(
        "certificates.json", partial(write, content=b'{"certificates": {}}'), "certificates is not a list"
    ),
    "certificates is a folder": State("certificates.json", folder, "certificates.json"),
    "scores are an empty table": State(
        SCORES, partial(write, content=b"{}"), "scores.json is damaged (it has no"
    ),
    "scores are no JSON": State(
        SCORES, partial(write, content=b"\xff"), "scores.json is damaged (it is not UTF-8)"
    ),
    "scores: metrics is null": State(SCORES, null("metrics"), "damaged (metrics is not a table)"),
    "scores are a folder": State(SCORES, folder, "scores.json"),
    "answers are gone": State(ANSWERS, delete, "predictions.jsonl cannot be read"),
    "answers: a number": State(ANSWERS, partial(insert, line="3"), "predictions.jsonl:2: not a prediction"),
    "answers: a text is null": State(
        ANSWERS,
        partial(
            insert,
            line=NO_TEXT,
        ),
        "predictions.jsonl:2: not a prediction (hypothesis is not a text)",
    ),
    "answers are no text": State(
        ANSWERS, partial(write, content=b"\xff\n"), "cannot be read (it is not UTF-8)"
    ),
    "adapter.json: frozen is null": State("adapter/adapter.json", null("frozen"), "frozen is not a table"),
    "adapter.json: training is a number": State(
        "adapter/adapter.json",
        lambda path: change(path, "training", value=3),
        "adapter.json is damaged (training is not a table)",
    ),
    "adapter.json is a folder": State("adapter/adapter.json", folder, "adapter"),
    "no tensors": State("adapter/adapter.safetensors", delete, "adapter.safetensors cannot be read"),
    "no adapter experiment": State("adapter/experiment.toml", delete, "adapter/experiment.toml"),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_finished(rig: Rig, scored: Path, state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Every command works, or names the file in one sentence."""
    other, run = copied(scored, "other", experiment__name="other"), rig.path()
    shutil.move(scored, run)
    sweep = rig.folder / "sweep.toml"
    sweep.write_text(f'{rig.file.read_text()}\n[sweep]\n"experiment.seed" = [17]\n')
    places = {"RUN": str(run), "OTHER": str(other), "FILE": str(rig.file), "SWEEP": str(sweep)}
    before = run / state.path
    state.touch(before)
    said = []

    for command in COMMANDS[: -3 if state.path.startswith(LIGHT) else None]:
        words = [places.get(word, word) for word in command.split()]
        capfd.readouterr()
        code = main([*words, *(["--runs", str(rig.runs)] if words[0] in ("run", "sweep") else [])])
        out, err = capfd.readouterr()
        assert "Traceback" not in err, command
        if code and words[0] != "certify":
            last = err.strip().splitlines()[-1]
            assert state.said, f"{command}: {last}"
            assert state.said in last or state.said in err, command
        said.append(f"{out}{err}")

    if state.said:
        assert any(state.said in one for one in said), said


def sealed(touch: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return a change of a file in a checkpoint that its seal covers."""

    def change_and_seal(path: Path) -> None:
        touch(path)
        checkpoint._seal(path.parent)

    return change_and_seal


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return full, ()


def pickled(path: Path) -> None:
    """Write a pickle that runs code."""
    path.write_bytes(pickle.dumps(Evil(), protocol=2))


def bomb(path: Path) -> None:
    """Write a compressed file whose contents are larger than it."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr("archive/data/99", bytes(10**6))


MIDDLE = "checkpoints/step-4"
NOT_LOADED = f"{MIDDLE} is not loaded: its optimizer, schedule or random numbers are not those of a training"
STOPPED = {
    "a copy of a checkpoint": State(MIDDLE, partial(copy, name="step-4.bak")),
    "a copy of a later step": State(MIDDLE, partial(copy, name="step-40.bak")),
    "a file like a checkpoint": State("checkpoints/step-5", Path.touch),
    "lock is lost": State("lock.json", delete),
    "status is cut short": State("status.json", partial(write, content=b"")),
    "evidence of another shape": State("evidence.json", partial(write, content=b"[]")),
    "a pickle as optimizer": State(f"{MIDDLE}/optimizer.pt", sealed(pickled), NOT_LOADED),
    "a pickle as schedule": State(f"{MIDDLE}/scheduler.pt", sealed(pickled), NOT_LOADED),
    "a pickle as random numbers": State(f"{MIDDLE}/rng_state.pth", sealed(pickled), NOT_LOADED),
    "a bomb as optimizer": State(
        f"{MIDDLE}/optimizer.pt", sealed(bomb), "the contents of optimizer.pt are larger than the file"
    ),
    "a bomb as random numbers": State(
        f"{MIDDLE}/rng_state.pth", sealed(bomb), "the contents of rng_state.pth are larger than the file"
    ),
    "rubbish as loss": State(f"{MIDDLE}/loss.json", sealed(partial(write, content=b"3")), NOT_LOADED),
    "status is a folder": State("status.json", folder, "status.json is a folder"),
    "lock: data is null": State("lock.json", null("data"), "lock.json is damaged (data is not a table)"),
    "lock: frozen is null": State(
        "lock.json", null("frozen"), "lock.json is damaged (frozen is not a table)"
    ),
    "journal: an empty table": State(
        "metrics.jsonl", partial(insert, line="{}"), "metrics.jsonl:2 is not a record"
    ),
    "evidence is a folder": State("evidence.json", folder, "evidence.json was not saved"),
}


@pytest.mark.parametrize("state", STOPPED.values(), ids=STOPPED)
def test_stopped(rig: Rig, scored: Path, state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """`run` resumes to the same tensors and the same journal, or names the file in one sentence."""
    tensors, journal, run = trained(scored), metrics(scored), rig.path()
    shutil.move(scored, run)
    for name in ("adapter", "evaluations", "certificates.json", f"checkpoints/step-{STEPS}", "report"):
        delete(run / name)
    change(run / "status.json", "state", value="interrupted")
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"step-4"}
    state.touch(run / state.path)

    code = main(["run", *rig.words()])

    err = capfd.readouterr().err
    assert "Traceback" not in err
    if state.said:
        assert code == 1
        assert state.said in err.strip().splitlines()[-1]
    else:
        assert code == 0
        assert "resuming from step 4\n" in err
        assert (trained(run), metrics(run)) == (tensors, journal)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"[]", b'{"global_step": "4"}'])
def test_rubbish_as_state(rig: Rig, scored: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """It damages its checkpoint, and without another one the run does not start from the beginning."""
    run = rig.path()
    shutil.move(scored, run)
    for name in ("adapter", "evaluations", "certificates.json", f"checkpoints/step-{STEPS}"):
        delete(run / name)
    change(run / "status.json", "state", value="interrupted")
    sealed(partial(write, content=content))(run / MIDDLE / "trainer_state.json")

    assert main(["run", *rig.words()]) == 1

    *_, warning, last = capfd.readouterr().err.strip().splitlines()
    assert "step-4 is damaged (trainer_state.json is not the state of a training)" in warning
    assert last.startswith(f"steermoe: every checkpoint in {run}/checkpoints is damaged; delete that")
