"""What plugins offer is found once and kept, until something that it depends on changes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.plugins import load_registry
from tests.host import COMPONENT, HEAD, plugin

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

PART = HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield " + COMPONENT.format(api=1)
COUNT = "\nwith open({!r}, 'a') as file: file.write('x')\n"


@pytest.fixture
def imports(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that grows by a letter whenever the plugin `odd` is imported."""
    monkeypatch.setenv("STEERMOE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "imports"
    site.add("odd", PART + COUNT.format(str(file)))
    return file


def test_nothing_is_imported_here(imports: Path) -> None:
    """Not the first time either."""
    load_registry()

    assert "fake_odd" not in sys.modules
    assert imports.read_text() == "x"


def test_found_once(imports: Path) -> None:
    """The second time it is read from the cache, and is the same."""
    first, second = load_registry(), load_registry()

    assert plugin(second, "odd") == plugin(first, "odd")
    assert imports.read_text() == "x"


def test_again_on_demand(imports: Path) -> None:
    """`--refresh` and `doctor` examine all."""
    load_registry()
    load_registry(again=True)

    assert imports.read_text() == "xx"


def test_edited_plugin_is_examined_again(imports: Path, site: Site) -> None:
    """As in an editable install."""
    load_registry()
    file = site.folder / "fake_odd.py"
    file.write_text(file.read_text().replace('name="odd"', 'name="even"'))

    assert load_registry().names("encoder").count("even") == 1


def test_new_version_is_examined_again(imports: Path, site: Site) -> None:
    """An upgrade is another plugin."""
    load_registry()
    info = site.folder / "steermoe_odd-1.0.dist-info" / "METADATA"
    info.write_text(info.read_text().replace("Version: 1.0", "Version: 1.1"))

    assert plugin(load_registry(), "odd").origin == "steermoe-odd 1.1"
    assert imports.read_text() == "xx"


def test_broken_plugin_is_examined_again_when_what_it_lacks_arrives(site: Site, tmp_path: Path) -> None:
    """A module that appears anywhere on the path may be the cure."""
    site.add("odd", "import torchodyo\n" + PART)
    assert plugin(load_registry(), "odd").status == "broken"

    (site.folder / "torchodyo.py").write_text("")

    assert plugin(load_registry(), "odd").status == "active"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"plugin": {}}', "\0"])
def test_damaged_cache_is_written_again(imports: Path, tmp_path: Path, text: str) -> None:
    """Whatever the file holds."""
    load_registry()
    for file in (tmp_path / "cache" / "plugins").iterdir():
        file.write_text(text)

    assert plugin(load_registry(), "odd").status == "active"
    assert imports.read_text() == "xx"
    assert all(json.loads(file.read_text())["plugin"] for file in (tmp_path / "cache" / "plugins").iterdir())


def test_cache_that_cannot_be_written(imports: Path, tmp_path: Path) -> None:
    """Then nothing is kept, and nothing is said."""
    (tmp_path / "cache").write_text("a file in the place of the folder")

    assert plugin(load_registry(), "odd").status == "active"
    assert plugin(load_registry(), "odd").status == "active"
    assert imports.read_text() == "xx"


def test_long_examination_is_reported(
    imports: Path, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a terminal, on stderr."""
    monkeypatch.setattr("steermoe_core.plugins.offers._PATIENCE", 0.05)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    site.add("slow", "import time\ntime.sleep(0.8)\n" + PART.replace('name="odd"', 'name="slow"'))

    load_registry()

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("steermoe: examining ")
    assert "steermoe-slow 1.0" in captured.err
