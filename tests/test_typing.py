"""The installed package is typed for the authors of plugins: mypy knows every public name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import steermoe_core

ROOT = Path(__file__).parents[1]

#: A plugin as an author writes it from the documentation.
PLUGIN = '''
from __future__ import annotations

from collections.abc import Iterator

import attrs

from steermoe_core import Component, Edits, Metric, Prediction, hookimpl, load


@attrs.frozen(kw_only=True)
class FirstWordConfig:
    """Settings."""

    ignore_case: bool = True


class FirstWord(Metric):
    """Share of answers with a wrong first word."""

    name = "first-word"

    def __init__(self, config: FirstWordConfig) -> None:
        self.config = config

    def edits(self, prediction: Prediction) -> Edits:
        """Compare the first words."""
        said, right = (text.split()[:1] for text in (prediction.hypothesis, prediction.reference))
        return Edits(substitutions=int(said != right), deletions=0, insertions=0, reference=1)


@hookimpl
def steermoe_metrics() -> Iterator[Component]:
    """Yield the metric."""
    yield Component(
        name="first-word",
        api=1,
        summary="errors of the first word",
        config="x:FirstWordConfig",
        factory="x:FirstWord",
        requires=("jiwer>=4",),
    )


def transcribe(path: str) -> str:
    """Return the text of a file."""
    return load("run").transcribe(path)
'''
#: Reveals the type of a public name.
REVEALED = re.compile(r'plugin\.py:(\d+): note: Revealed type is "(.*)"')


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Return what mypy says of the plugin and of every public name, outside of the checkout."""
    folder = tmp_path_factory.mktemp("plugin")
    names = [f"reveal_type(steermoe_core.{name})" for name in steermoe_core.__all__]
    text = "\n".join([PLUGIN, "import steermoe_core", *names])
    (folder / "plugin.py").write_text(text, encoding="utf-8")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            ROOT / ".mypy_cache" / "plugins",
            "plugin.py",
        ],
        env={name: value for name, value in os.environ.items() if name != "MYPYPATH"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_strict_mypy_finds_nothing(report: subprocess.CompletedProcess[str]) -> None:
    """In a plugin that uses them."""
    problems = [line for line in report.stdout.splitlines() if "error:" in line]
    assert not problems, report.stdout + report.stderr
    assert report.returncode == 0, report.stderr


def test_every_public_name_has_a_type(report: subprocess.CompletedProcess[str]) -> None:
    """None is Any, as the names of an untyped package are."""
    found = [kind for _, kind in REVEALED.findall(report.stdout)]
    assert len(found) == len(steermoe_core.__all__)
    untyped = [name for name, kind in zip(steermoe_core.__all__, found, strict=True) if kind == "Any"]
    assert not untyped


def test_the_marker_is_shipped() -> None:
    """Without it, type checkers ignore what an installed package declares."""
    assert (Path(steermoe_core.__file__).parent / "py.typed").is_file()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'steermoe_core = \[.*"py\.typed"', project)
