"""Plugins as strangers write them: on public names alone, installed by pip, trained with in a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import load_file

from tests.third_party.checkpoint import save_hubert
from tests.tiny import write_folder, write_wav

if TYPE_CHECKING:
    from collections.abc import Callable

    Installed = Callable[..., subprocess.CompletedProcess[str]]

HERE = Path(__file__).parent
NAMES = ("steermoe-cosine", "steermoe-houlsby", "steermoe-waves")
EXPERIMENT = """
[experiment]
name = "strangers"

[encoder]
use = "waves"
weights = "hubert"

[[adapter]]
use = "steering"
experts = 3
start = 0.5
router = {{ use = "cosine", temperature = 0.3 }}

[[adapter]]
use = "houlsby"
on = "decoder"
size = 3

[projector]
use = "linear"

[decoder]
use = "causal-lm"
weights = "{decoder}"

[data.train]
use = "folder"
path = "speech"

[data.eval.all]
use = "folder"
path = "speech"

[train]
steps = 12
batch_size = 5
device = "cpu"
threads = 1
log_every = 1
learning_rate = {{ projector = 1e-2, steering = 1e-2, router = 1e-2, scales = 1e-2, houlsby = 2e-3 }}
clip = {{ houlsby = 2.0 }}

[evaluate]
max_new_tokens = 4

[[metrics]]
use = "wer"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the distributions, built and installed by pip; their sources stay clean."""
    sources, folder = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("site")
    for name in NAMES:
        shutil.copytree(HERE / name, sources / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", folder, *(sources / name for name in NAMES)], check=True, timeout=200)
    return folder


@pytest.fixture(scope="module")
def installed(site: Path) -> Installed:
    """Return a function that calls a Python module in a fresh process in which the plugins are installed."""

    def call(*words: str, cwd: Path = site, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100", "OMP_NUM_THREADS": "1"},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    return call


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, decoder_folder: str) -> Path:
    """Return a folder with an experiment, random HuBERT weights and sounds."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "strangers.toml").write_text(EXPERIMENT.format(decoder=decoder_folder), encoding="utf-8")
    save_hubert(folder / "hubert")
    write_folder(folder / "speech")
    write_wav(folder / "hello.wav")
    return folder


@pytest.fixture(scope="module")
def run(installed: Installed, place: Path) -> Path:
    """Return the folder of a finished run."""
    installed("steermoe_core", "run", "strangers.toml", cwd=place)
    (folder,) = (place / "runs").iterdir()
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_their_own_tests_pass(installed: Installed, name: str) -> None:
    """In their own words, with the kit of the engine, and nothing of this project's tests."""
    tests = str(HERE / name / "tests")
    where = ("-c", str(HERE / name / "pyproject.toml"), "-p", "no:cacheprovider", tests)
    done = installed("pytest", "-q", "-W", "error", *where)

    assert "passed" in done.stdout


def test_they_are_listed_and_healthy(installed: Installed) -> None:
    """From the folder that pip wrote, with their versions; importing them costs nothing heavy."""
    plugins = json.loads(installed("steermoe_core", "list-plugins", "--json").stdout)["plugins"]

    for name in NAMES:
        (facts,) = (plugin for plugin in plugins if plugin["distribution"] == name)
        assert (facts["status"], facts["version"], facts["heavy_imports"]) == ("active", "0.3.0", [])


def test_they_keep_the_contract(installed: Installed, place: Path) -> None:
    """`check-plugin` finds nothing wrong with weights that lie in some folder, LoRA's maps among it."""
    words = (
        "check-plugin",
        "steermoe-waves",
        "--set",
        f"weights={place / 'hubert'}",
        "--set",
        "max_seconds=2.0",
    )
    checks = json.loads(installed("steermoe_core", *words, "--json").stdout)["checks"]
    results = {check["check"]: check["status"] for check in checks}

    assert set(results.values()) <= {"ok", "skipped"}
    assert {results[name] for name in ("length_law", "padding_invariance", "taps", "linear_maps")} == {"ok"}


def test_a_run_trains_with_them(run: Path) -> None:
    """The encoder's frames and the router's gates carry gradients; the loss falls."""
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    lock = json.loads((run / "lock.json").read_text())
    trained = load_file(run / "adapter" / "adapter.safetensors")
    (temperatures,) = (tensor for name, tensor in trained.items() if name.endswith("log_temperatures"))

    assert len(losses) == 12
    assert losses[-1] < losses[0]
    assert {name: lock["plugins"][name] for name in NAMES} == dict.fromkeys(NAMES, "0.3.0")
    assert len(temperatures) == 3
    assert (temperatures.exp() - 0.3).abs().min() > 1e-4


def test_a_group_of_their_own_has_its_rate_everywhere(installed: Installed, run: Path, place: Path) -> None:
    """In metrics, plan, adapter.json, report and the page of the adapter; another group is refused."""
    (first, *_) = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    assert first["gradient_norm"]["houlsby"] > 0.0
    assert json.loads((run / "adapter" / "adapter.json").read_text())["groups"]["houlsby"] == 2 * 2 * 3 * 32
    assert "houlsby" in (run / "report" / "index.html").read_text()
    plan = json.loads(installed("steermoe_core", "plan", "strangers.toml", "--json", cwd=place).stdout)
    assert {"group": "houlsby", "parameters": 384, "learning_rate": 2e-3} in plan["groups"]
    page = installed("steermoe_core", "push", str(run), "me/it", "--dry-run", cwd=place)
    assert "houlsby 384" in page.stdout
    words = ("check", "strangers.toml", "--set", "train.learning_rate.houlsbi=1")
    wrong = installed("steermoe_core", *words, cwd=place, expect=2)
    assert 'no chosen component trains a parameter group "houlsbi"' in wrong.stderr
    assert 'did you mean "houlsby"?' in wrong.stderr


def test_a_run_transcribes_with_them(installed: Installed, run: Path, place: Path) -> None:
    """The adapter goes back onto the encoder and router that it was trained with."""
    done = installed("steermoe_core", "transcribe", str(run), "hello.wav", "--json", cwd=place)

    assert set(json.loads(done.stdout)) == {"file", "text", "seconds", "segments"}


def test_a_run_without_them_says_what_is_missing(run: Path, tmp_path: Path) -> None:
    """Somebody else's run folder asks for plugins by name."""
    words = [sys.executable, "-m", "steermoe_core", "check", str(run / "experiment.toml")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 3, done.stdout
    assert 'no encoder named "waves"' in done.stderr
    assert 'no router named "cosine"' in done.stderr
