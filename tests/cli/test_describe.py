"""`steermoe describe`: what a component is called, where it comes from, every key that it takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import tomli

from steermoe_core.cli.main import main
from steermoe_core.component import KINDS
from steermoe_core.config.describe.example import example
from steermoe_core.config.resolve import resolve
from steermoe_core.config.text.write import dumps
from steermoe_core.plugins import load_registry

if TYPE_CHECKING:
    from conftest import Site

BUILTIN = [(kind, part.name) for kind, part in load_registry(no_plugins=True).plugins[0].components]


def facts(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    """Return what the command prints as JSON."""
    assert main(["describe", *words, "--json", "--no-plugins"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", KINDS)
def test_kind(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A kind alone lists its components with origin, or says that there is none."""
    names = [one["name"] for one in facts(capsys, kind)["components"]]
    assert names == sorted(name for of, name in BUILTIN if of == kind)

    assert main(["describe", kind, "--no-plugins"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in names)
    assert names or f"no {kind} is installed" in text


@pytest.mark.parametrize(("kind", "name"), BUILTIN)
def test_component(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every key has a type and a text, and the example is TOML that chooses the component."""
    about = facts(capsys, kind, name)

    assert all(key["doc"] and key["type"] for key in about["settings"])
    assert f'use = "{name}"' in about["example"]
    assert tomli.loads(about["example"])
    assert main(["describe", kind, name, "--no-plugins"]) == 0
    assert about["example"] in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "name"), BUILTIN)
def test_example_is_valid(kind: str, name: str, site: Site) -> None:
    """The example put into an experiment resolves, with every key as it stands there."""
    site.healthy("beats")
    registry = load_registry()
    snippet = tomli.loads(example(registry, kind, name))
    source = {"use": "folder", "path": "."}
    base = {
        "experiment": {"name": "x"},
        "encoder": {"use": "beats"},
        "adapter": {"use": "steering"},
        "decoder": {"use": "causal-lm", "weights": "x"},
        "data": {"train": source, "eval": {"all": source}},
        "train": {"steps": 1},
    }
    file = site.folder / "x.toml"
    merged = {**base, **snippet, "data": {**base["data"], **snippet.get("data", {})}}
    file.write_text(dumps(merged))

    assert resolve(file, [], registry).experiment.experiment.name == "x"


def test_nested_choice_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """Tables inside a component are described and shown, with the default of a choice."""
    steering = facts(capsys, "adapter", "steering")
    keys = {key["key"]: key for key in steering["settings"]}

    assert keys["experts"]["limits"] == ["> 0", "<= 10000"]
    assert keys["router"]["kind"] == "router"
    assert keys["router"]["default"] == "softmax"
    assert tomli.loads(steering["example"])["adapter"]["router"]["use"] == "softmax"


def test_table_inside(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys of a plain table follow it, dotted; choices are listed."""
    keys = {key["key"]: key for key in facts(capsys, "projector", "linear")["settings"]}

    assert keys["pool.kind"]["choices"] == ["avg", "max", "stack", "none"]
    assert keys["pool.kernel"]["default"] == 4
    assert not keys["pool.kernel"]["required"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["encodr"], 2, 'there is no kind "encodr"; did you mean "encoder"?'),
        (["projector", "liner"], 3, 'no projector is named "liner"; did you mean "linear"'),
    ],
)
def test_wrong_names(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt kind is wrong usage, a component that is not there a matter of plugins."""
    assert main(["describe", *words]) == code
    assert message in capsys.readouterr().err


def test_settings_that_cannot_be_imported(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A plugin whose settings class is gone is named with its distribution."""
    site.healthy("beats")
    module = site.folder / "fake_beats.py"
    module.write_text(module.read_text().replace("steermoe_core.model.config:PoolConfig", "nowhere:Gone"))

    assert main(["describe", "encoder", "beats"]) == 3
    assert 'settings of encoder "beats" (steermoe-beats 1.0) cannot be loaded' in capsys.readouterr().err
