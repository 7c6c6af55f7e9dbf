"""The names that the list of plugins shows are the names that block, and blocking acts before any import."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.cli.main import main
from tests.host import BROKEN
from tests.kinds import KINDS

if TYPE_CHECKING:
    from conftest import Site

#: Kinds of plugins that do something when they are imported.
AT_IMPORT = {
    "SystemExit at import",
    "missing dependency",
    "plugin name twice",
    "slow import",
    "prints to stdout",
}
PROBE = """
import sys
from steermoe_core.cli.main import main
code = main(sys.argv[1:])
sys.exit(code or any(name in sys.modules for name in ("fake_odd", "fake_one", "fake_two", "fake_odd_part")))
"""


@pytest.fixture
def modules(site: Site) -> dict[str, str]:
    """Install every broken plugin of the tests at once, two of one name, and a healthy one."""
    found = {}
    for number, (source, _, _) in enumerate(BROKEN.values()):
        found[f"odd{number}"] = site.add(f"odd{number}", source)
    for number in (1, 2):
        found[f"steermoe-twin-{number}"] = site.healthy(
            "twin", distribution=f"steermoe-twin-{number}", module=f"twin{number}"
        )
    found["Beats.x_y"] = site.healthy("Beats.x_y", "beats", distribution="Their_Beats", module="beats")
    return found


def plugins(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """Return what the list says of each plugin but the built-in parts; nothing is imported before."""
    for name in [name for name in sys.modules if name.startswith(("fake_", "twin", "beats"))]:
        del sys.modules[name]
    assert main(["list-plugins", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)["plugins"][1:]


@pytest.mark.parametrize("way", ["flag", "environment"])
@pytest.mark.parametrize("key", ["name", "distribution"])
def test_every_name_in_the_list_blocks(
    way: str,
    key: str,
    modules: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plugin or distribution, on the command line or in the environment: its module is never imported."""
    ours = {"odd", "twi", "Bea"}
    for shown in [one for one in plugins(capsys) if one["name"][:3] in ours]:
        words = ["--block", shown[key]] if way == "flag" else []
        monkeypatch.setenv("STEERMOE_BLOCK", "" if words else shown[key])
        listed = plugins(capsys, *words)
        now = [one for one in listed if one[key] == shown[key]]
        assert {one["status"] for one in now} == {"blocked"}
        assert {one["reason"] for one in now} == {f'blocked by name "{shown[key]}"'}
        gone = [module for name, module in modules.items() if name in (shown["name"], shown["distribution"])]
        assert not set(gone) & set(sys.modules)
        assert [one["name"] for one in listed if one["status"] == "blocked"] == [one["name"] for one in now]


def test_the_table_shows_the_same_names(
    modules: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table for people has the same names as the facts for programs."""
    monkeypatch.setenv("COLUMNS", "160")
    names = [(one["name"], one["distribution"]) for one in plugins(capsys)]

    assert main(["list-plugins"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]

    assert [pair for pair in names if not any(tuple(line[:2]) == pair for line in lines)] == []


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.name in AT_IMPORT], ids=lambda kind: kind.name
)
def test_a_blocked_plugin_is_silent(kind: Any, site: Site) -> None:
    """Whatever it would do at import, it does not do it: nothing is printed, nothing is imported."""
    kind.write(site)

    done = site.run("list-plugins", "--json", "--block", "odd", code=PROBE)

    assert (done.returncode, done.stderr) == (0, "")
    assert {one["status"] for one in json.loads(done.stdout)["plugins"] if one["name"] == "odd"} == {
        "blocked"
    }
