"""The plugin host: what is loaded, what is blocked, who wins, and that nothing stops the program."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.cli.main import main
from steermoe_core.errors import PluginError, UsageError
from steermoe_core.plugins import PartError, load_registry
from steermoe_core.plugins.discovery import normal
from tests.host import BROKEN, COMPONENT, HEAD, plugin

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site


def test_builtin_parts_come_through_the_same_hooks(site: Site) -> None:
    """The parts that steermoe brings are a plugin like any other, first in the list."""
    registry = load_registry(no_plugins=True)

    assert registry.plugins[0].name == "builtin"
    assert registry.names("adapter") == ["none", "soft-prompt", "steering"]
    assert registry.plugin_of("metric", "wer").distribution == "steermoe"


def test_healthy_plugin(site: Site) -> None:
    """A plugin's components are found by kind and name, with their origin."""
    site.healthy("beats", version="0.3")

    registry = load_registry()

    assert registry.get("encoder", "beats").summary == "made up"
    assert registry.plugin_of("encoder", "beats").origin == "steermoe-beats 0.3"
    assert registry.find("projector", "beats") is None
    assert plugin(registry, "beats").location == str(site.folder)


def test_object_as_plugin(site: Site) -> None:
    """An entry point may name an object whose methods are hooks."""
    site.add("thing", HEAD + "class P:\n @hookimpl\n def steermoe_encoders(self):\n  yield "
             + COMPONENT.format(api=1) + "\nplugin = P()", value="fake_thing:plugin")  # fmt: skip

    assert load_registry().find("encoder", "odd")


def test_optional_hook_of_a_newer_contract(site: Site) -> None:
    """A plugin may serve hooks that only later versions have, by saying so."""
    source = "\n@hookimpl(optionalhook=True)\ndef steermoe_losses():\n  yield"
    site.add(
        "modern", HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield " + COMPONENT.format(api=1) + source
    )

    assert plugin(load_registry(), "modern").status == "active"


def test_imported_helpers_are_not_taken_for_hooks(site: Site) -> None:
    """Only a function of the plugin's own can be a forgotten hook."""
    site.add(
        "odd",
        "from steermoe_core.hookspecs import steermoe_metrics\nfrom steermoe_core.hookspecs import hookimpl",
    )

    assert plugin(load_registry(), "odd").reason == "it has no hook, so it offers nothing"


def test_two_distributions_with_one_plugin_name(site: Site) -> None:
    """Neither is imported, both are named, and blocking one by distribution cures the other."""
    first = site.healthy("beats", distribution="steermoe-beats-one", module="beats_one")
    second = site.healthy("beats", distribution="steermoe-beats-two", module="beats_two")

    twins = [one for one in load_registry().plugins if one.name == "beats"]

    assert [one.status for one in twins] == ["broken", "broken"]
    assert all("steermoe-beats-one 1.0 and steermoe-beats-two 1.0" in str(one.reason) for one in twins)
    assert not {first, second} & set(sys.modules)
    assert (
        load_registry(["steermoe-beats-two"]).plugin_of("encoder", "beats").distribution
        == "steermoe-beats-one"
    )


def test_two_plugins_with_one_component_name(site: Site) -> None:
    """Both are broken whatever their order; blocking either cures the other."""
    site.healthy("aaa", "shared")
    site.healthy("zzz", "shared")

    registry = load_registry()

    assert (
        plugin(registry, "aaa").reason == 'its encoder "shared" is also offered by "zzz" (steermoe-zzz 1.0)'
    )
    assert plugin(registry, "zzz").status == "broken"
    assert registry.find("encoder", "shared") is None
    assert load_registry(["zzz"]).plugin_of("encoder", "shared").name == "aaa"


def test_plugin_called_builtin(site: Site) -> None:
    """Nobody can pass for the built-in parts."""
    module = site.healthy("builtin")

    (taken,) = [one for one in load_registry().plugins if one.distribution == "steermoe-builtin"]

    assert (taken.name, taken.status) == ("builtin", "broken")
    assert module not in sys.modules


def test_one_distribution_twice_on_the_path(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy in another folder is not a rival: Python takes the first, and so do we."""
    site.healthy("beats", version="2.0")
    copy = tmp_path / "copy"
    shutil.copytree(site.folder, copy)
    (copy / "steermoe_beats-2.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Steermoe_Beats\nVersion: 1.0\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(copy)])

    assert plugin(load_registry(), "beats").origin == "steermoe-beats 2.0"


def test_editable_install(site: Site, tmp_path: Path) -> None:
    """An editable install counts once and shows its source folder."""
    site.healthy("beats")
    info = site.folder / "steermoe_beats-1.0.dist-info"
    (info / "direct_url.json").write_text(
        f'{{"url": "file://{tmp_path}/my%20src", "dir_info": {{"editable": true}}}}'
    )

    assert plugin(load_registry(), "beats").location == f"{tmp_path}/my src"


@pytest.mark.parametrize("name", ["beats-x", "BEATS_x", "steermoe-beats-x", "steermoe.beats_x"])
def test_block_acts_before_import(site: Site, name: str) -> None:
    """Plugin or distribution name, in any spelling; its code never runs."""
    module = site.healthy("beats-x")

    registry = load_registry([name])

    assert plugin(registry, "beats-x").status == "blocked"
    assert module not in sys.modules
    assert registry.find("encoder", "beats-x") is None


def test_block_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """STEERMOE_BLOCK serves every call; a name that is not installed is kept for a note."""
    module = site.healthy("beats")
    monkeypatch.setenv("STEERMOE_BLOCK", "beats, ,elsewhere")

    registry = load_registry()

    assert plugin(registry, "beats").reason == 'blocked by name "beats"'
    assert registry.unknown_blocks == ("elsewhere",)
    assert module not in sys.modules


def test_no_plugins(site: Site) -> None:
    """Nothing but the built-in parts is imported."""
    module = site.healthy("beats")

    registry = load_registry(no_plugins=True)

    assert {one.status for one in registry.plugins[1:]} == {"blocked"}
    assert module not in sys.modules


def test_misspelt_block_is_an_error(site: Site) -> None:
    """A name that blocks nothing would leave running what should not run."""
    site.healthy("beats")

    with pytest.raises(
        UsageError, match='--block beat: no installed plugin has that name; did you mean "beats"'
    ):
        load_registry(["beat"])
    with pytest.raises(UsageError, match="built-in parts cannot be blocked"):
        load_registry(["builtin"])


def test_missing_component_names_near_known_and_absent(site: Site) -> None:
    """The message holds all that a user needs: did-you-mean with origin, and plugins that failed."""
    site.healthy("beats")
    site.add("wavlm", "import torchodyo")

    with pytest.raises(PluginError) as raised:
        load_registry().get("encoder", "beast")

    text = str(raised.value)
    assert text.startswith('no encoder is named "beast"; did you mean "beats" (steermoe-beats 1.0)? (known: ')
    assert '"wavlm" (steermoe-wavlm 1.0) is broken: it needs the module torchodyo' in text


def test_withheld_component_names_its_plugin_only(site: Site) -> None:
    """Where a broken plugin is known to have the component, the others are not mentioned."""
    site.add("odd", BROKEN["too new"][0])
    site.add("wavlm", "import torchodyo")

    text = load_registry().explain("encoder", "odd")

    assert "contract 99" in text
    assert "torchodyo" not in text


def test_plugins_print_nothing(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """What a plugin prints at import reaches neither stdout nor stderr, whichever way it prints."""
    site.add("loud", "import os; print('hello'); os.write(1, b'hello'); os.write(2, b'hello'); os.close(1)")

    load_registry()

    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_heavy_imports_are_noted(site: Site) -> None:
    """A plugin is shown with the heavy libraries that it imports."""
    (site.folder / "datasets.py").write_text("")
    site.add("odd", "import datasets")

    odd = plugin(load_registry(), "odd")

    assert odd.heavy == ("datasets",)
    assert odd.slow == "it imports datasets"


WEIGHTS = """
@hookimpl
def steermoe_weights():
    code = {"config": "fake_part:Settings", "factory": "fake_part:folder"}
    yield Component(name="x/model", api=1, summary="", **code)
"""
OWN = """
import attrs
def fail(): raise KeyError("no home")
@attrs.frozen
class Settings:
    place: str = attrs.field(factory={factory})
def folder(config): return "/models/x"
"""


def test_weights_of_a_plugin(site: Site) -> None:
    """A name of weights is the folder that its plugin gives; code that raises is an error of that plugin."""
    site.add("own", HEAD + WEIGHTS)
    (site.folder / "fake_part.py").write_text(OWN.format(factory="str"))
    registry = load_registry()

    assert registry.weights_folder("x/other") is None
    assert str(registry.weights_folder("x/model")) == "/models/x"


def test_weights_whose_settings_raise(site: Site) -> None:
    """The message names the plugin and what it raised."""
    site.add("own", HEAD + WEIGHTS)
    (site.folder / "fake_part.py").write_text(OWN.format(factory="fail"))

    with pytest.raises(
        PartError, match=r'"x/model" of steermoe-own 1.0 cannot be provided: KeyError: .no home'
    ):
        load_registry().weights_folder("x/model")


def test_life_cycle_hooks(site: Site, tmp_path: Path) -> None:
    """Every active plugin is called with the arguments that it takes."""
    note = "(folder / __name__).touch()"
    site.add("one", HEAD + f"@hookimpl\ndef steermoe_before_run(folder):\n  {note}")
    site.add("two", HEAD + "@hookimpl\ndef steermoe_run_failed(error): raise error")

    registry = load_registry()
    registry.fire("steermoe_before_run", folder=tmp_path)
    registry.fire("steermoe_after_run", folder=tmp_path)

    assert (tmp_path / "fake_one").exists()
    with pytest.raises(PluginError, match='"two" failed in steermoe_run_failed: OSError: disk full'):
        registry.fire("steermoe_run_failed", folder=tmp_path, error=OSError("disk full"))


def test_failing_life_cycle_hook_does_not_silence_others(site: Site, tmp_path: Path) -> None:
    """All plugins are heard, then the failure is told."""
    for name in ("aaa", "zzz"):
        source = (
            f"@hookimpl\ndef steermoe_after_run(folder):\n  (folder / '{name}').touch()\n  raise SystemExit"
        )
        site.add(name, HEAD + source)

    with pytest.raises(PluginError) as raised:
        load_registry().fire("steermoe_after_run", folder=tmp_path)

    assert {"aaa", "zzz"} <= {path.name for path in tmp_path.iterdir()}
    assert str(raised.value).count("failed in steermoe_after_run") == 2


@given(st.lists(st.text("abcXYZ019", min_size=1), min_size=1), st.data())
def test_every_spelling_of_a_name_is_one(parts: list[str], data: st.DataObject) -> None:
    """Runs of dashes, dots and underscores are one separator; case counts for nothing."""
    separators = st.text("-_.", min_size=1, max_size=3)
    spelt = parts[0] + "".join(data.draw(separators) + part.upper() for part in parts[1:])

    assert normal(spelt) == "-".join(parts).lower()


@pytest.mark.parametrize(
    "words", [["list-plugins"], ["list-plugins", "--json"], ["describe", "adapter", "none"]]
)
def test_commands_survive_all_broken_plugins_together(site: Site, words: list[str]) -> None:
    """With every kind of broken plugin installed at once, a command that needs none of them works."""
    for number, (source, _, _) in enumerate(BROKEN.values()):
        site.add(f"odd{number}", source)

    assert main(words) == 0
