"""`steermoe list-plugins`: every plugin, healthy or not, for people and for programs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.kinds import BUSY

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site


@pytest.fixture
def mixed(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One healthy and one broken plugin, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    site.healthy("beats")
    site.add("wavlm", "import torchodyo")
    return site


def test_table(mixed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, distribution, version, status and components within 80 columns; below, reasons and hints."""
    assert main(["list-plugins"]) == 0

    text = capsys.readouterr().out
    words = " ".join(text.split())
    assert "beats steermoe-beats 1.0 active encoder: beats" in words
    assert "wavlm steermoe-wavlm 1.0 broken" in words
    complaint = "it needs the module torchodyo, which is not installed"
    assert f"wavlm (steermoe-wavlm 1.0) is broken: {complaint}\n  hint: " in text
    assert max(map(len, text.partition("wavlm (")[0].splitlines())) <= 80


def test_json(mixed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The same facts as data."""
    assert main(["list-plugins", "--json"]) == 0

    plugins = {one["name"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert plugins["beats"]["components"] == [
        {"kind": "encoder", "name": "beats", "api": 1, "summary": "made up", "gives": None, "needs": None}
    ]
    assert plugins["wavlm"]["status"] == "broken"
    assert "torchodyo" in plugins["wavlm"]["reason"]


def test_kind(mixed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """`--kind` keeps plugins of that kind, and broken ones, which may have had it."""
    assert main(["list-plugins", "--json", "--kind", "router"]) == 0

    plugins = {one["name"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert {part["kind"] for part in plugins["builtin"]["components"]} == {"router"}
    assert "wavlm" in plugins
    assert "beats" not in plugins


def test_timings(mixed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """`--timings` adds a column of milliseconds."""
    assert main(["list-plugins", "--timings"]) == 0
    assert " ms " in capsys.readouterr().out.splitlines()[0]


def test_traceback(mixed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """`--traceback` shows a plugin's author what was raised."""
    assert main(["list-plugins", "--traceback"]) == 0

    text = capsys.readouterr().out
    assert "Traceback (most recent call last)" in text
    assert "ModuleNotFoundError: No module named 'torchodyo'" in text


def test_unknown_block_in_the_environment(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name in STEERMOE_BLOCK that blocks nothing is mentioned."""
    monkeypatch.setenv("STEERMOE_BLOCK", "elsewhere")

    assert main(["list-plugins"]) == 0
    assert "STEERMOE_BLOCK names elsewhere" in capsys.readouterr().out


def test_markup_in_a_reason_is_text(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """What a plugin raises is shown as it is, never read as markup."""
    site.add("odd", "raise ValueError('[/red] [bold]x')")

    assert main(["list-plugins"]) == 0
    assert "[/red] [bold]x" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("columns", [80, 160])
def test_where_it_comes_from(
    columns: int,
    mixed: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The folder, short, and whether it is an editable install: a column of its own where there is room."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(tmp_path)
    url = f'{{"url": "file://{tmp_path}/src/beats", "dir_info": {{"editable": true}}}}'
    (mixed.folder / "steermoe_beats-1.0.dist-info" / "direct_url.json").write_text(url)

    assert main(["list-plugins"]) == 0

    table = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert max(map(len, table)) <= columns
    words = " ".join(" ".join(table).split())
    assert "src/beats (editable)" in words
    assert ("from" in table[0]) is (columns == 160)
    assert "broken from site" in words or columns == 160


def test_places_as_data(mixed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole path, and whether the install is editable."""
    assert main(["list-plugins", "--json"]) == 0

    plugins = {one["name"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert (plugins["beats"]["location"], plugins["beats"]["editable"]) == (str(mixed.folder), False)


def test_slow_import(
    mixed: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plugin whose import takes long is said to be slow, and stays active."""
    monkeypatch.setattr("steermoe_core.plugins.plugin.SLOW", 0.02)
    module = mixed.folder / "fake_beats.py"
    module.write_text(BUSY + module.read_text())

    assert main(["list-plugins"]) == 0
    assert re.search(r"slow: its import takes 0\.\d\d s", " ".join(capsys.readouterr().out.split()))

    assert main(["list-plugins", "--json"]) == 0
    plugins = {one["name"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert plugins["beats"]["status"] == "active"


def test_hints_are_commands(mixed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """What a missing package needs is a command."""
    assert main(["list-plugins"]) == 0
    assert "  hint: `pip install torchodyo`, or whichever package has it" in capsys.readouterr().out
