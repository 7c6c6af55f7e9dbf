"""A settings class that raises: a located error in the experiment that chooses it, and no harm elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

PLUGIN = """
from steermoe_core import Component, hookimpl

@hookimpl
def steermoe_encoders():
    for name in ("default", "exit", "validator", "init", "value", "printing"):
        config = f"fake_ears.settings:{name.title()}"
        yield Component(name=name, api=1, summary="made up", config=config, factory="no:where")
"""
SETTINGS = '''
import sys
from attrs import define, field

def zero(*_):
    return 1 / 0

@define
class Default:
    """Its default cannot be computed."""
    a: int = field(factory=zero)

@define
class Exit:
    """Its default ends the program."""
    a: int = field(factory=lambda: sys.exit(5))

@define
class Validator:
    """Its validator has a mistake."""
    a: int = field(default=1, validator=lambda *_: {}["a"])

@define
class Init:
    """Its last step has a mistake."""
    a: int = 1
    def __attrs_post_init__(self):
        raise RuntimeError("not today")

@define
class Value:
    """Its default is nothing that a file can hold."""
    a: object = field(factory=object)

@define
class Printing:
    """It talks."""
    a: int = 1
    def __attrs_post_init__(self):
        print("hello")
'''
FILE = """\
experiment.name = "first"
decoder = {{ use = "causal-lm", weights = "none" }}
train.steps = 1
data.train = {{ use = "folder", path = "." }}
data.eval.all = {{ use = "folder", path = "." }}
[encoder]
use = "{name}"
"""
RAISED = {
    "default": "cannot be loaded: TypeError: the default of a raises ZeroDivisionError: division by zero",
    "exit": "cannot be loaded: TypeError: the default of a raises SystemExit: 5",
    "validator": "cannot be used: KeyError: 'a'",
    "init": "cannot be used: RuntimeError: not today",
    "value": "cannot be used: TypeError: TOML has no value for <object",
}


@pytest.fixture
def ears(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder to write experiments to; the plugin `ears` is installed."""
    site.info("steermoe-ears", "1.0", "[steermoe]\nears = fake_ears\n")
    package = site.folder / "fake_ears"
    package.mkdir()
    (package / "__init__.py").write_text(PLUGIN)
    (package / "settings.py").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def experiment(folder: Path, name: str) -> str:
    path = folder / "first.toml"
    path.write_text(FILE.format(name=name))
    return path.name


@pytest.mark.parametrize("command", ["check", "config", "run", "sweep"])
@pytest.mark.parametrize("name", RAISED)
def test_the_experiment_that_chooses_it_says_who_raised_what(
    name: str, command: str, ears: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3 and no traceback; the component, its distribution and the error, at its `use`."""
    assert main([command, experiment(ears, name)]) == 3
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.startswith("first.toml:7:8  error[E204]")
    assert f'the settings of encoder "{name}" of steermoe-ears 1.0 {RAISED[name]}' in said
    assert '7 | use = "' in said


def test_where_it_raised_is_said(ears: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file and line of the plugin, and the plugin's name."""
    main(["check", experiment(ears, "init")])
    said = capsys.readouterr().err
    assert "fake_ears/settings.py:28)" in said
    assert 'repair the plugin "ears"' in said


def test_what_it_prints_is_no_output(ears: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout belongs to the command."""
    assert main(["config", experiment(ears, "printing"), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["experiment"]["encoder"] == {"use": "printing", "a": 1}
    assert printed.err.startswith("hello")


def test_a_sound_experiment_does_not_notice(ears: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`describe`, `schema` and `completion` about other parts work; the schema notes what it leaves out."""
    assert main(["describe", "encoder"]) == 0
    assert main(["describe", "adapter", "steering", "--json"]) == 0
    capsys.readouterr()
    assert main(["schema"]) == 0
    printed = capsys.readouterr()
    assert "encoder.whole.init" in json.loads(printed.out)["definitions"]
    assert 'encoder "default" (steermoe-ears 1.0) is left out' in printed.err
    assert 'encoder "exit" (steermoe-ears 1.0) is left out' in printed.err


@pytest.mark.parametrize("name", RAISED)
def test_the_shell_is_answered(name: str, ears: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Tab in a line about it offers what is known, and prints nothing else."""
    assert main(["completion", "--words", "run", experiment(ears, name), "--set", "encoder."]) == 0
    printed = capsys.readouterr()
    assert "encoder.use=" in printed.out
    assert not printed.err


@pytest.mark.parametrize("name", ["default", "exit"])
def test_it_can_be_described_only_once_it_works(
    name: str, ears: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3."""
    assert main(["describe", "encoder", name]) == 3
    assert f'the settings of encoder "{name}" (steermoe-ears 1.0) cannot be loaded' in capsys.readouterr().err
