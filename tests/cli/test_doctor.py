"""`steermoe doctor`: the facts, what is wrong and the command that mends it, for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from steermoe_core.doctor.finding import Finding
from tests.host import BROKEN

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

PROBE = """
import sys
from steermoe_core.cli.main import main
code = main(sys.argv[1:])
sys.exit(code or "torch" in sys.modules)
"""


@pytest.fixture(autouse=True)
def place(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    """The facts stand first; exit code 0 as long as there are no errors."""
    assert main(["doctor"]) == 0

    out = capsys.readouterr().out
    assert out.startswith("python 3.")
    assert "libsndfile" in out
    assert "error:" not in out


def test_a_broken_plugin(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Level and sentence, the place in the code, the command; the count at the end."""
    site.add("odd", "raise RuntimeError('boom [/red]')")

    assert main(["doctor"]) == 3

    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("error: "))
    assert (
        'error: "odd" (steermoe-odd 1.0) is broken: its import failed: RuntimeError: boom [/red]'
        in lines[start]
    )
    assert lines[start + 1] == f"  where: {site.folder}/fake_odd.py:1"
    assert lines[start + 2].startswith("  fix: repair it, or upgrade steermoe-odd: `pip install --upgrade")
    assert lines[-1].startswith("1 error")


def test_json(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as data, gravest first; a plugin that prints does not spoil it."""
    site.add("odd", f"print('hello')\n{BROKEN['no hook'][0]}")
    site.healthy("fine")

    assert main(["doctor", "--json", "--block", "fine"]) == 3

    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == 3
    assert (found["facts"]["plugins"]["odd"], found["facts"]["plugins"]["fine"]) == ("broken", "blocked")
    levels = [finding["level"] for finding in found["findings"]]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    assert all(finding["mend"] and finding["what"] for finding in found["findings"])


def test_an_abandoned_run_is_a_warning(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--runs` says where to look."""
    run = place / "elsewhere" / "one-12345678"
    run.mkdir(parents=True)
    (run / "status.json").write_text('{"state": "running"}')

    assert main(["doctor", "--runs", "elsewhere"]) == 0
    assert "warning: elsewhere/one-12345678 says that it is running" in capsys.readouterr().out


def test_torch_is_not_imported(site: Site) -> None:
    """Not even with `--deep`, which asks another process."""
    done = site.run("doctor", "--json", code=PROBE)
    assert done.returncode == 0, done.stderr


def test_deep(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process says of torch stands with the facts, and its failures with the findings."""
    failure = Finding(code="package-broken", what="torch cannot be imported", mend="`pip install torch`")
    monkeypatch.setattr("steermoe_core.doctor.packages.imports", lambda: ("H100", [failure]))

    assert main(["doctor", "--deep"]) == 4
    assert "gpu H100; " in capsys.readouterr().out
