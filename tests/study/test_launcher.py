"""`--on NAME`: a launcher starts workers, and the command ends."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.rig import sentence

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

    from tests.rig import Rig

PLUGIN = """
import json
import attrs
from attrs.validators import gt
from steermoe_core import Component, Launcher, hookimpl

@attrs.frozen(kw_only=True)
class Config:
    workers: int = attrs.field(default=2, validator=gt(0))
    queue: str = "short"

class Elsewhere(Launcher):
    def __init__(self, config):
        self.config = config

    def start(self, workers):
        found = {**attrs.asdict(self.config), **attrs.asdict(workers)}
        (workers.folder / "started.json").write_text(json.dumps(found, default=str))
        return f"{self.config.workers} workers elsewhere"

@hookimpl
def steermoe_launchers():
    config, factory = "fake_elsewhere:Config", "fake_elsewhere:Elsewhere"
    yield Component(name="elsewhere", api=1, summary="", config=config, factory=factory)
"""


@pytest.fixture
def elsewhere(rig: Rig, site: Site) -> Rig:
    """Return a rig with a sweep of two cells, and a launcher."""
    site.add("elsewhere", PLUGIN)
    rig.file.write_text(f'{rig.file.read_text()}\n[sweep]\n"adapter.experts" = [3, 4]\n')
    return rig


def started(rig: Rig) -> tuple[Path, dict]:
    """Return the folder of the sweep, and what the launcher was given."""
    (file,) = rig.runs.glob(".sweeps/*/started.json")
    return file.parent, json.loads(file.read_text())


def test_workers_are_started_and_nothing_is_waited_for(
    elsewhere: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """The launcher gets the command of a worker; all cells are waiting."""
    words = [
        "--on",
        "elsewhere",
        "--with",
        "workers=3",
        "--with",
        "queue=long jobs",
        "--retry-failed",
        "--json",
    ]
    assert main(["sweep", *elsewhere.words(), *words]) == 0

    out, err = capsys.readouterr()
    folder, given = started(elsewhere)
    assert given == {
        "workers": 3,
        "queue": "long jobs",
        "command": [sys.executable, "-m", "steermoe_core", "work", str(folder), "--retry-failed"],
        "runs": 2,
        "folder": str(folder),
        "name": "tiny",
    }
    assert "started 3 workers elsewhere; the same command with --table in place of --on prints what" in err
    assert [run["state"] for run in json.loads(out)["runs"]] == ["waiting", "waiting"]
    assert sorted(path.name for path in elsewhere.runs.iterdir()) == [".sweeps"]


def test_a_ladder_is_started_likewise(rig: Rig, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Its rungs are the runs."""
    site.add("elsewhere", PLUGIN)
    assert main(["ladder", *rig.words(), "--on", "elsewhere"]) == 0

    _, given = started(rig)
    assert given["runs"] >= 3
    assert "projection only: waiting" in capsys.readouterr().err


def test_where_all_is_finished_nothing_is_started(elsewhere: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed cells count as such unless they are to be retried."""
    for experts in (3, 4):
        run = elsewhere.path(f"adapter.experts={experts}")
        run.mkdir(parents=True)
        (run / "status.json").write_text('{"state": "failed", "error": "x"}')

    assert main(["sweep", *elsewhere.words(), "--on", "elsewhere"]) == 0

    assert "--table" not in capsys.readouterr().err
    assert not (elsewhere.runs / ".sweeps").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--on", "elsewere"], 'no launcher is named "elsewere"; did you mean "elsewhere"'),
        (["--on", "elsewhere", "--with", "wokers=3"], "--on elsewhere: "),
        (["--on", "elsewhere", "--with", "workers=many"], "--on elsewhere: "),
        (
            ["--on", "elsewhere", "--with", "workers=0"],
            "(`steermoe describe launcher elsewhere` lists its settings)",
        ),
        (["--on", "elsewhere", "--with", "workers"], "'workers' is not KEY=VALUE"),
        (["--with", "workers=3"], "--with has the settings of a launcher; choose one by --on"),
        (["--on", "elsewhere", "--table"], "not allowed with argument"),
    ],
)
def test_mistakes(elsewhere: Rig, words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and nothing is started."""
    assert main(["sweep", *elsewhere.words(), *words]) in (2, 3)

    assert told in sentence(capsys)
    assert not list(elsewhere.runs.glob(".sweeps/*/started.json"))
