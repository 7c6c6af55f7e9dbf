"""What a sweep began with: workers run its cells, and none with other code."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.errors import RunFolderError, UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.study.begun import Beginning, Code
from steermoe_core.study.sweep import jobs_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

FINISH = '#!/bin/sh\necho "$4" >> "$CALLS"\necho \'{"state": "finished"}\' > $(dirname "$4")/status.json\n'


def begun(rig: Rig) -> Beginning:
    """Begin a sweep of two cells, or return the one that has begun."""
    if "[sweep]" not in rig.file.read_text():
        rig.file.write_text(f'{rig.file.read_text()}\n[sweep]\n"adapter.experts" = [3, 4]\n')
    registry = load_registry()
    cells = {str(cell): cell for cell in resolve_sweep(rig.file, [], registry)}
    return Beginning.of(jobs_of(cells, registry, rig.runs), registry, rig.runs)


@pytest.fixture
def plugin(rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the module of the rig's plugin, a copy that can be changed."""
    copy = tmp_path / "fake_rig.py"
    copy.write_text((rig.plugin / "fake_rig.py").read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "fake_rig", raising=False)
    importlib.invalidate_caches()
    return copy


def test_it_is_written_once(rig: Rig) -> None:
    """A second start finds what the first one wrote; other cells are another sweep."""
    first = begun(rig)
    assert first.folder.parent == rig.runs / ".sweeps"
    assert [path.name for path in first.folder.parent.iterdir()] == [first.folder.name]
    written = (first.folder / "begun.json").stat().st_mtime_ns

    assert begun(rig) == first
    assert (first.folder / "begun.json").stat().st_mtime_ns == written
    rig.file.write_text(rig.file.read_text().replace("[3, 4]", "[3, 5]"))
    assert begun(rig).folder != first.folder


def test_its_jobs_are_those_of_the_file_as_it_was(rig: Rig) -> None:
    """Names, folders, commands and experiments come back."""
    beginning = begun(rig)
    rig.file.unlink()

    jobs = Beginning.read(beginning.folder).begun.jobs

    assert [job.name for job in jobs] == ["adapter.experts = 3", "adapter.experts = 4"]
    assert [job.state for job in jobs] == ["waiting", "waiting"]
    for job, experts in zip(jobs, (3, 4), strict=True):
        assert f"experts = {experts}\n" in job.toml
        assert list(job.words) == ["run", str(job.folder.path / "experiment.toml"), "--runs", str(rig.runs)]


def test_what_changed_is_named(rig: Rig, plugin: Path) -> None:
    """A plugin's code, its version, a package."""
    beginning = begun(rig)
    beginning.check()
    assert {"steermoe_core", "fake_rig"} <= set(beginning.begun.code.files)

    plugin.write_text(plugin.read_text() + "# changed\n")
    with pytest.raises(
        RunFolderError, match="no run is started: code of fake_rig changed since the sweep began; "
    ):
        beginning.check()
    plugin.unlink()
    with pytest.raises(RunFolderError, match=f"or delete {beginning.folder} to run what is left"):
        beginning.check()


def test_versions_are_compared() -> None:
    """A package that is not installed any more, one that is new, and another Python."""
    now = Code.installed(load_registry(no_plugins=True))
    before = Code(versions={**now.versions, "torch": "2.0", "gone": "1.0", "Python": "3.9"}, files=now.files)

    torch = now.versions["torch"]
    assert now.changes() == []
    assert set(before.changes()) == {
        f"torch 2.0 → {torch}",
        "gone 1.0 → none",
        f"Python 3.9 → {now.versions['Python']}",
    }


def test_a_worker_runs_what_is_free(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`steermoe work`: it leaves to others what they run, and needs the folder alone."""
    beginning = begun(rig)
    rig.file.unlink()
    python = rig.folder / "python"
    python.write_text(FINISH)
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("CALLS", str(rig.folder / "calls"))
    monkeypatch.setattr("steermoe_core.study.jobs._TICK", 0.01)
    mine, other = beginning.begun.jobs

    with other.folder.held():
        assert main(["work", str(beginning.folder)]) == 0
    assert (rig.folder / "calls").read_text().split() == [str(mine.experiment)]
    assert "adapter.experts = 4: running" in capsys.readouterr().err

    (beginning.folder / "begun.json").write_text(
        (beginning.folder / "begun.json").read_text().replace('"steermoe_core": "', '"steermoe_core": "0')
    )
    assert main(["work", str(beginning.folder)]) == 1
    assert "steermoe: no run is started: code of steermoe_core changed" in capsys.readouterr().err
    assert other.state == "waiting"


def test_another_folder(tmp_path: Path) -> None:
    """It is said that no sweep began there; a damaged record is named."""
    with pytest.raises(UsageError, match=r"is not the folder of a sweep: it has no begun\.json"):
        Beginning.read(tmp_path)
    (tmp_path / "begun.json").write_text(json.dumps({"code": 3}))
    with pytest.raises(RunFolderError, match=f"delete {tmp_path} to begin again"):
        Beginning.read(tmp_path)
