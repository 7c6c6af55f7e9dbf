"""`steermoe check`: right or wrong, in words or as data, without running anything."""

from __future__ import annotations

import json
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Site

GOOD = """
experiment.name = "first"
encoder.use = "beats"
decoder = { use = "causal-lm", weights = "none" }
train.steps = 1
data.train = { use = "folder", path = "." }
data.eval.all = { use = "folder", path = "." }
"""

OWLS = """
from steermoe_core import Component, hookimpl

def part(name):
    facts = {{"config": "steermoe_core.model.config:NoAdapterConfig", "factory": "nowhere:Nothing"}}
    return Component(name=name, api=1, summary="made up", requires={requires!r}, **facts)

@hookimpl
def steermoe_encoders():
    yield part("owl")

@hookimpl
def steermoe_callbacks():
    yield part("owl-watch")
"""


@pytest.fixture
def file(site: Site) -> Path:
    """Return an experiment that is right."""
    site.healthy("beats")
    path = site.folder / "first.toml"
    path.write_text(GOOD)
    return path


def test_right_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name, the number of components and the run folder that it would have."""
    assert main(["check", str(file)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{file}: ok, 8 components, run folder first-")

    assert main(["check", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ok"]
    assert text.endswith(f"{facts['folder']}\n")


def test_several_files(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file is checked, also after a wrong one; the worst exit code counts."""
    wrong = file.with_name("wrong.toml")
    wrong.write_text(GOOD.replace("steps", "stepps"))
    assert main(["check", str(wrong), str(file)]) == 2
    printed = capsys.readouterr()
    assert f"{wrong}:5:7" in printed.err
    assert printed.out.startswith(f"{file}: ok")

    assert main(["check", "--json", str(file), str(wrong)]) == 2
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [fact["ok"] for fact in facts] == [True, False]


def test_set_names_another_folder(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed setting is another run, a repeated one is none; both flags may be given several times."""
    folders = []
    dropped = ["--unset", "train.steps", "--unset", "experiment", "--set", "train.steps=1"]
    dropped += ["--set", "experiment.name=first"]
    for words in ([], ["--set", "train.steps=2"], ["--set", "train.steps=1"], dropped):
        assert main(["check", str(file), "--json", *words]) == 0
        folders.append(json.loads(capsys.readouterr().out)["folder"])

    assert folders[0] != folders[1]
    assert folders[0] == folders[2] == folders[3]


def test_packages_that_components_need(
    site: Site, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each missing package with the component that needs it: exit code 3, and torch is not imported."""
    gone = ("nowhere-1>=2", "nowhere-2", "nowhere-3; python_version < '3'")
    site.add("owls", OWLS.format(requires=gone[1:]))
    site.info("steermoe-hoot", "1.0", "[steermoe]\nhoot = fake_hoot\n", [gone[0], "nowhere-4; extra == 'x'"])
    (site.folder / "fake_hoot.py").write_text(OWLS.replace("owl", "hoot").format(requires=()))
    file.write_text(
        GOOD.replace('use = "beats"', 'use = "owl"').replace('"none"', '"a.gguf"')
        + 'callbacks = [{ use = "owl-watch" }, { use = "hoot-watch" }]\n'
    )
    monkeypatch.setattr("steermoe_core.plugins.requirements.version", _without("gguf"))

    assert main(["check", str(file), "--json"]) == 3
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [(one["line"], one["message"], one["hint"]) for one in problems] == [
        (3, 'encoder "owl" (steermoe-owls 1.0) needs nowhere-2, which is not installed',
         "pip install nowhere-2"),
        (4, f'decoder "causal-lm" ({_engine()}) needs gguf>=0.10, which is not installed',
         "pip install 'gguf>=0.10'"),
        (8, 'callback "hoot-watch" (steermoe-hoot 1.0) needs nowhere-1>=2, which is not installed',
         "pip install 'nowhere-1>=2'"),
    ]  # fmt: skip
    assert main(["config", str(file)]) == 0


def _without(package: str) -> Callable[[str], str]:
    """Return a look-up of versions in an environment without a package."""

    def find(name: str) -> str:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return metadata.version(name)

    return find


def _engine() -> str:
    return f"steermoe {metadata.version('steermoe')}"


def test_all_problems_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mistake with its place; exit code 2."""
    file.write_text(GOOD.replace("train.steps = 1", "train.stepz = 1") + 'adapter.use = "steerin"\n')

    assert main(["check", str(file)]) == 2
    err = capsys.readouterr().err
    assert f"{file}:5:" in err
    assert 'did you mean "steps"' in err
    assert 'did you mean "steering"' in err

    assert main(["check", str(file), "--json"]) == 2
    facts = json.loads(capsys.readouterr().out)
    assert not facts["ok"]
    assert {"E102", "E201"} <= {problem["code"] for problem in facts["problems"]}


def test_blocked_plugin_that_is_needed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is wrong but a plugin that is not there: exit code 3 and its reason."""
    assert main(["check", str(file), "--block", "beats"]) == 3
    assert 'blocked by name "beats"' in capsys.readouterr().err
    assert main(["check", str(file), "--block", "beats", "--json"]) == 3


def test_missing_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read is told as any other problem."""
    assert main(["check", str(file.with_name("none.toml"))]) == 2
    assert "none.toml" in capsys.readouterr().err
