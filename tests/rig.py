"""A whole experiment on tiny parts: `steermoe run` trains and scores it in a second after its imports.

The fake plugin `rig` brings the tiny encoder of `tests.parts`, a callback that does what the environment
variable RIG says at the end of a step (``kill@5``), and parts that misbehave. The variable is no part of the
experiment, so a run that was killed and the run that goes on are the same run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.main import main
from tests.tiny import DIGITS, write_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

ROOT = Path(__file__).parent.parent
STEPS = 6

PLUGIN = """
import os
from pathlib import Path
import attrs
from steermoe_core import Component, hookimpl

TINY = "steermoe_core.testing.config:TinyConfig"

@attrs.frozen(kw_only=True)
class Nothing:
    pass

def part(name, config, factory):
    return Component(name=name, api=1, summary="for tests", config=config, factory=factory)

@hookimpl
def steermoe_encoders():
    yield part("tiny", TINY, "tests.parts:TinyEncoder")
    yield part("dense", TINY, "tests.parts:DenseEncoder")
    gives = ("layer-taps", "own-decoder")
    yield attrs.evolve(part("speaking", TINY, "tests.parts:SpeakingEncoder"), gives=gives)
    yield part("crowd", TINY, "tests.misbehaving:Crowd")

@hookimpl
def steermoe_adapters():
    yield part("thief", "fake_rig:Nothing", "tests.misbehaving:Thief")
    yield part("night-thief", "fake_rig:Nothing", "tests.misbehaving:NightThief")

@hookimpl
def steermoe_projectors():
    yield part("meddler", "steermoe_core.model.config:LinearConfig", "tests.misbehaving:Meddler")
    yield part("q-former", "fake_rig:Nothing", "tests.parts:QFormer")
    yield part("leaky-q-former", "fake_rig:Nothing", "tests.misbehaving:LeakyQFormer")

@hookimpl
def steermoe_routers():
    yield part("sigmoid", "fake_rig:Nothing", "tests.parts:SigmoidRouter")

@hookimpl
def steermoe_augmentations():
    yield part("wobble", "fake_rig:Nothing", "tests.augmentations:Wobble")
    yield part("slow", "fake_rig:Nothing", "tests.augmentations:Slow")
    yield part("lost", "fake_rig:Nothing", "tests.augmentations:Lost")

@hookimpl
def steermoe_callbacks():
    yield part("rig", "fake_rig:Nothing", "tests.misbehaving:Act")
    yield part("numb", "fake_rig:Nothing", "tests.misbehaving:Numb")

def note(name, folder):
    with (Path(folder) / "../hooks.txt").open("a") as file:
        file.write(name + "\\n")
    if os.environ.get("RIG_HOOK") == name:
        raise ValueError("the hook tripped")

@hookimpl
def steermoe_before_run(folder):
    note("before_run", folder)

@hookimpl
def steermoe_after_run(folder):
    note("after_run", folder)

@hookimpl
def steermoe_run_failed(folder, error):
    note("run_failed", folder)
"""

EXPERIMENT = """
[experiment]
name = "tiny"

[encoder]
use = "tiny"

[adapter]
use = "steering"
experts = 3
start = 0.5

[projector]
use = "linear"
pool = {{ kernel = 2 }}

[decoder]
use = "causal-lm"
weights = "{decoder}"

[data.train]
use = "folder"
path = "train"

[data.eval.dev]
use = "folder"
path = "dev"

[data.eval.other]
use = "folder"
path = "other"

[train]
steps = {steps}
batch_size = 3
device = "cpu"
threads = 1
log_every = 1
save_every = 2
learning_rate = {{ projector = 1e-2, steering = 1e-2, router = 1e-2, scales = 1e-2 }}

[evaluate]
batch_size = 3
max_new_tokens = 12

[[metrics]]
use = "wer"

[[metrics]]
use = "cer"

[[callbacks]]
use = "rig"
"""


class Rig:
    """A place with an experiment file, its data and the plugin that it needs.

    :param site: where a test's own distributions go.
    :param plugin: the folder on `sys.path` that has the distribution of the plugin.
    :param decoder: folder of the language model.
    """

    def __init__(self, site: Any, plugin: Path, decoder: str, folder: Path) -> None:
        self.plugin = plugin
        self.site = site
        self.folder = folder
        self.file = folder / "tiny.toml"
        self.runs = folder / "runs"
        write_folder(folder / "train")
        write_folder(folder / "dev", DIGITS[:4])
        write_folder(folder / "other", DIGITS[4:7], [0.9, 0.35, 0.6])
        self.file.write_text(EXPERIMENT.format(decoder=decoder, steps=STEPS), encoding="utf-8")

    def run(self, *sets: str, expect: int = 0, flags: tuple[str, ...] = ()) -> Path:
        """Run the experiment in this process and return its run folder; the exit code is checked."""
        assert main(["run", *self.words(*sets), *flags]) == expect
        return self.path(*sets)

    def process(self, *sets: str, **environment: str) -> subprocess.Popen[str]:
        """Start the same command in a process of its own."""
        return self.start("run", *self.words(*sets), **environment)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start `steermoe WORDS…` in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "steermoe_core", *words],
            env={**os.environ, "PYTHONPATH": self.paths, **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def paths(self) -> str:
        """Where other processes find the plugins: their PYTHONPATH."""
        return os.pathsep.join(map(str, (self.site.folder, self.plugin, ROOT)))

    def words(self, *sets: str) -> list[str]:
        """Return the arguments of `run` for this experiment with some changed keys."""
        return [str(self.file), "--runs", str(self.runs), *(word for one in sets for word in ("--set", one))]

    def path(self, *sets: str) -> Path:
        """Return the run folder that belongs to the experiment."""
        from steermoe_core.config.resolve import resolve
        from steermoe_core.plugins import load_registry
        from steermoe_core.run.folder.run_folder import RunFolder

        return RunFolder.of(resolve(self.file, sets, load_registry()), self.runs).path

    @property
    def hooks(self) -> list[str]:
        """The life-cycle hooks that fired, in order."""
        return (self.runs / "hooks.txt").read_text().split()


class Trained:
    """A run of the rig's experiment that is trained in the first rig and copied to all others.

    :param home: a folder that lasts.
    :param sets: changed keys.
    """

    def __init__(self, home: Path, sets: Sequence[str]) -> None:
        self.home, self.sets = home, sets
        self.place: Path | None = None

    def copied(self, rig: Rig) -> Path:
        """Return the run's folder in a rig, as if it had been trained there."""
        run = rig.path(*self.sets)
        if self.place is None:
            shutil.copytree(rig.run(*self.sets), self.home)
            self.place = rig.folder
            return run
        shutil.copytree(self.home, run)
        for path in run.rglob("*"):
            if path.suffix in (".html", ".json", ".jsonl", ".toml") and "checkpoints" not in path.parts:
                path.write_bytes(path.read_bytes().replace(bytes(self.place), bytes(rig.folder)))
        return run


def status(run: Path) -> dict[str, Any]:
    """Return status.json."""
    return dict(json.loads((run / "status.json").read_text()))


def metrics(run: Path) -> list[dict[str, Any]]:
    """Return metrics.jsonl without what the clock says."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds_per_step"} for line in lines]


def texts(run: Path, split: str = "dev", control: str = "") -> dict[str, str]:
    """Return the hypotheses of a split by clip."""
    name = f"predictions.{control}.jsonl" if control else "predictions.jsonl"
    rows = [json.loads(line) for line in (run / "evaluations" / split / name).read_text().splitlines()]
    return {row["id"]: row["hypothesis"] for row in rows}


def trained(run: Path) -> bytes:
    """Return the bytes of the adapter's tensors."""
    return (run / "adapter" / "adapter.safetensors").read_bytes()


def files(folder: Path) -> Mapping[str, int]:
    """Return every file below a folder and when it was last changed (ns)."""
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()
    }


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the error on stderr: the last line, for people; there is no traceback."""
    return told(capsys.readouterr().err)


def told(err: str) -> str:
    """Return the error in a process's stderr."""
    assert "Traceback" not in err
    last = err.strip().splitlines()[-1]
    assert last.startswith("steermoe: ")
    return last.removeprefix("steermoe: ")


def until(condition: Any, seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
