"""The tutorial, followed by a stranger who has the page and the wheel, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.docs.fresh import Fresh
from tests.docs.pages import ROOT, blocks, commands, shows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.pages import Command

PAGE = ROOT / "docs" / "tutorial" / "write-an-encoder.md"
pytestmark = pytest.mark.timeout(900)  # following the page is the set-up of whichever test comes first

#: What `Fresh` has done, without a network.
DONE = {"python -m venv .venv", "source .venv/bin/activate"}


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """Return the environment after every file of the page was written and every command was run."""
    fresh = Fresh(tmp_path_factory.mktemp("stranger"))
    for block in blocks(PAGE):
        if block.path:
            file = fresh.work / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        _follow([command for command in commands(block) if command.words not in DONE], fresh)
    return fresh


def _follow(todo: list[Command], fresh: Fresh) -> None:
    """Run a block's commands: each succeeds, except before `echo $?`, and prints what the page shows."""
    code = 0
    for number, command in enumerate(todo):
        done = fresh.run(command.words.replace("$?", str(code)))
        code, fails = done.returncode, [after.words for after in todo[number + 1 : number + 2]] == ["echo $?"]
        assert (code != 0) is fails, f"{command.place}\n{done.stdout}"
        told = f"{command.place} shows\n{command.shown}\nbut prints\n{done.stdout}"
        assert shows(command.shown, done.stdout), told


@pytest.fixture(scope="module")
def run(followed: Fresh) -> Path:
    """Return the folder of the run."""
    (folder,) = (followed.work / "runs").iterdir()
    return folder


def test_nothing_of_this_checkout_is_seen(followed: Fresh) -> None:
    """The engine is the installed one, and the only plugins are its own and the tutorial's."""
    home = followed.run("python -c 'import steermoe_core; print(steermoe_core.__file__)'").stdout.strip()
    plugins = json.loads(followed.run("steermoe list-plugins --json").stdout)["plugins"]

    assert home == str(followed.site / "steermoe_core" / "__init__.py")
    assert [plugin["distribution"] for plugin in plugins] == ["steermoe", "steermoe-pitch"]
    assert {plugin["status"] for plugin in plugins} == {"active"}
    assert not plugins[1]["heavy_imports"]


def test_the_run_learns(run: Path) -> None:
    """The loss falls; beeps that it was not trained on are recognised, and not without their sound."""
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    scores = json.loads((run / "evaluations" / "test" / "scores.json").read_text())

    assert losses[-1] < losses[0] / 3
    assert scores["metrics"]["wer"]["value"] < 0.1
    assert scores["controls"]["no-audio"]["wer"]["value"] > 0.5


def test_the_run_steers(run: Path) -> None:
    """Every layer of the new encoder is steered by all four vectors."""
    layers = json.loads((run / "evaluations" / "test" / "scores.json").read_text())["steering"]

    assert [layer["layer"] for layer in layers] == [0, 1, 2]
    assert all(layer["dead"] == 0 and layer["relative_norm"] > 1e-3 for layer in layers)


def test_the_run_names_the_plugin(run: Path) -> None:
    """Who repeats it knows what to install."""
    assert json.loads((run / "lock.json").read_text())["plugins"]["steermoe-pitch"] == "0.1.0"
