"""The JSON Schema of experiment files takes what the engine takes, and refuses what the engine refuses."""

from __future__ import annotations

import datetime as dt
import json
import math
from contextlib import suppress
from pathlib import Path

import pytest
import tomli
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from steermoe_core.config.describe.schema import schema
from steermoe_core.config.resolve import resolve
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.config.text.write import dumps
from steermoe_core.errors import ConfigError, PluginError
from steermoe_core.plugins import load_registry
from tests.config.conftest import FakeRegistry
from tests.config.test_robust import spoilt

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "experiments").rglob("*.toml"))
GOLDENS = Path(__file__).parents[1] / "goldens"
REGISTRY = load_registry()
#: Wrong files that the schema takes, and why it cannot know better.
BEYOND = {
    "after-init": "a rule between two keys",
    "base-missing": "whether a file is there",
    "compiled": "rules between keys",
    "contradictions": "rules between keys",
    "cycle": "what another file extends",
    "list-for-table": "what another file has",
    "cycle-back": "what another file extends",
    "date": "editors hand a date to the schema as text",
    "eval-name": "a rule on the name of a table, not on a value",
    "flag-overrides-default": "flags",
    "flag-twice": "flags",
    "flags": "flags",
    "inherited": "what another file says",
    "length": "what another file says",
    "length-unset": "what another file says",
    "packages": "what is installed",
    "packing": "a rule between a part and a key",
    "parts": "a rule between parts",
    "nothing-to-train": "a rule between two keys",
    "sweep": "a sweep is a file of its own kind",
    "sweep-equal": "a rule between values",
    "sweep-values": "which keys the other file's components have",
    "test-split": "a rule on words inside a text",
    "validation-off": "rules between keys",
    "validation-without-data": "a rule between two tables",
    "weights-count": "a rule between two keys",
}


def as_editors_see(value):
    """Return a TOML value as JSON: dates are text, and not-a-number is nothing."""
    if isinstance(value, dict):
        return {key: as_editors_see(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_editors_see(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else value


def validator(registry=REGISTRY, **how):
    """Return a validator of an installation's files; the schema has gone through JSON."""
    found, _ = schema(registry, **how)
    found = json.loads(json.dumps(found, allow_nan=False))
    Draft7Validator.check_schema(found)
    return Draft7Validator(found)


REAL, BASE = validator(), validator(base=True)
FAKE = validator(FakeRegistry())


def complaints(table, check=REAL):
    """Return what the schema says of a table: place and sentence."""
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in check.iter_errors(as_editors_see(table))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_is_taken(path):
    """Experiments as experiments, and files that others extend as such."""
    table = tomli.loads(path.read_text(encoding="utf-8"))
    assert complaints(table, BASE if path.parent.name == "base" else REAL) == []


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name != "base"], ids=lambda path: path.stem)
def test_every_resolved_experiment_is_taken(path):
    """With all defaults filled in and nothing to extend: this is what run folders hold."""
    for cell in resolve_sweep(path, [], REGISTRY):
        assert complaints(cell.resolved.table) == []


def parsed():
    """Return the names of the goldens that are TOML at all."""
    found = []
    for path in sorted(GOLDENS.glob("*.toml")):
        with suppress(tomli.TOMLDecodeError, UnicodeDecodeError):
            tomli.loads(path.read_text(encoding="utf-8"))
            found.append(path.stem)
    return found


@pytest.mark.parametrize("name", parsed())
def test_a_file_that_is_wrong_by_itself_is_refused(name):
    """All but those whose mistake JSON Schema has no words for."""
    table = tomli.loads((GOLDENS / f"{name}.toml").read_text(encoding="utf-8"))
    assert bool(complaints(table, FAKE)) == (name not in BEYOND)


def test_every_exception_is_still_one():
    """A golden that is gone needs no reason."""
    assert set(BEYOND) <= set(parsed())


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"encoder": {"use": "whisper", "weigths": "x"}}, "encoder: Additional properties"),
        ({"encoder": {"use": "whispr"}}, "encoder.use: 'whispr' is not one of"),
        ({"encoder": {"dtype": "int4"}}, "encoder.dtype: 'int4' is not one of"),
        ({"projector": {"use": "linear", "pool": {"kernel": 0}}}, "projector.pool.kernel: 0 is less than"),
        ({"train": {"steps": 10.5}}, "train.steps: 10.5 is not of type 'integer'"),
        ({"train": {"steps": 10, "epochs": 1}}, "train: {'steps': 10, 'epochs': 1} "),
        (
            {"train": {"steps": 1, "batch_size": 4, "batch_tokens": "auto"}},
            "train: {'steps': 1, 'batch_size': 4, 'batch_tokens': 'auto'} ",
        ),
        ({"train": {"recompute": ["all"]}}, "train.recompute.0: 'all' is not one of"),
        ({"metrics": [{"normalise": "basic"}]}, "metrics.0: 'use' is a required property"),
        ({"data": {"train": []}}, "data.train: [] "),
        ({"adapter": "steering"}, "adapter: 'steering' does not match"),
        ({"adapter": {"use": "steering", "router": {"use": "topk", "k": 1}}}, "adapter.router.k: 1 is less"),
        ({"speed": 3}, ": Additional properties"),
    ],
)
def test_a_mistake_is_one_complaint_at_its_place(table, place):
    """Also in a file that extends another, and whatever else may stand there."""
    (complaint,) = complaints({"extends": "x.toml", **table})
    assert complaint.startswith(place)


@pytest.mark.parametrize(
    "table",
    [
        {"encoder": {"weights": "x"}},
        {"adapter": {"experts": 4, "router": {"k": 3}}},
        {"adapter": "hub:somebody/something@main"},
        {"adapter": "runs/x"},
        {"metrics": {"normalise": "raw"}},
        {"data": {"train": {"path": "x"}, "eval": {"dev": {"split": "dev"}}}},
        {"train": {"learning_rate": {"lora": 1}}},
        {"callbacks": []},
    ],
)
def test_a_file_that_extends_another_may_say_a_part(table):
    """The rest, and which component it is, stands in the other file."""
    assert complaints({"extends": "x.toml", **table}) == []
    assert complaints(table, BASE) == []


def without_odd_values(value):
    """Replace what an editor shows to the schema as something else: dates, and 3.0 for 3."""
    if isinstance(value, dict):
        return {key: without_odd_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_odd_values(item) for item in value]
    if isinstance(value, (dt.date, dt.time)):
        return False
    return 0.25 if isinstance(value, float) and value.is_integer() else value


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_takes_what_the_engine_takes_and_refuses_what_it_refuses(data, minimal, registry, tmp_path):
    """An experiment with anything changed, added or dropped anywhere; rules between keys apart."""
    flags = ["adapter.use=steering", "callbacks.0.use=early-stop"]
    table = without_odd_values(data.draw(spoilt(resolve(minimal, flags, registry).table)))
    assume("extends" not in table)
    path = tmp_path / "spoilt.toml"
    path.write_text(dumps(table), encoding="utf-8")
    try:
        resolve(path, [], registry)
    except (ConfigError, PluginError) as error:
        told = [p for p in error.problems if p.code < "E302" and "cannot be a folder name" not in p.message]
        assert complaints(table, FAKE) or not told
    else:
        assert complaints(table, FAKE) == []


def keys(node):
    """Yield every key of every table in a schema, with its own schema."""
    if isinstance(node, dict):
        for name, inner in node.get("properties", {}).items():
            yield name, inner
        for inner in node.values():
            yield from keys(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from keys(inner)


def test_every_key_is_explained():
    """What an editor shows beside it; conditions on `use` are no keys."""
    bare = {
        name for name, node in keys(REAL.schema["definitions"]) if not ({"description", "anyOf"} & set(node))
    }
    assert bare <= {"use"}


def test_types_defaults_and_limits_are_those_of_the_classes():
    """A few of each sort."""
    train = REAL.schema["definitions"]["whole"]["properties"]["train"]["properties"]
    assert train["steps"]["minimum"] == 0
    assert "default" not in train["steps"]
    assert train["batch_size"]["exclusiveMinimum"] == 0
    assert "default" not in train["batch_size"]  # 8, but for a budget
    assert train["accumulation"]["default"] == 1
    assert train["batch_seconds"]["anyOf"] == [{"type": "number"}, {"enum": ["auto"]}]
    assert train["batch_seconds"]["exclusiveMinimum"] == 0.0
    assert train["schedule"]["enum"] == ["constant", "linear", "cosine"]
    assert train["learning_rate"]["properties"]["router"]["maximum"] == 10.0
    assert train["clip"]["anyOf"][1]["properties"]["router"]["exclusiveMinimum"] == 0.0
    folder = REAL.schema["definitions"]["dataset.whole.folder"]
    assert folder["properties"]["path"]["type"] == "string"
    assert folder["properties"]["speeds"]["minItems"] == 1
    assert folder["properties"]["speeds"]["items"] == {"type": "number", "minimum": 0.1, "maximum": 10.0}
    assert folder["required"] == ["path"]
    assert REAL.schema["definitions"]["whole"]["required"] == [
        "experiment",
        "encoder",
        "decoder",
        "data",
        "train",
    ]


def test_what_cannot_be_loaded_is_left_out_with_a_note(registry):
    """A broken plugin, and components whose settings are not there or are no settings."""
    found, notes = schema(registry)
    assert not [name for name in found["definitions"] if "classless" in name or "lost" in name]
    assert any(note.startswith("beats (steermoe-beats 0.1) is broken and left out") for note in notes)
    assert any('encoder "lost" (steermoe 0.1.0) is left out: AttributeError' in note for note in notes)
    assert any('encoder "classless" (steermoe 0.1.0) is left out: TypeError' in note for note in notes)


def test_a_component_with_an_odd_name_can_be_referred_to(registry, monkeypatch):
    """Slashes and letters of any script."""
    monkeypatch.setitem(FakeRegistry.find.__globals__["PARTS"], ("encoder", "wav/größe"), "Whisper")
    check = validator(registry)
    wrong = {"extends": "x", "encoder": {"use": "wav/größe", "trim": 1}}
    assert complaints(wrong, check) == ["encoder.trim: 1 is not of type 'boolean'"]


def test_an_installation_without_a_kind_takes_none(registry, monkeypatch):
    """No encoder is installed: none can be right."""
    parts = FakeRegistry.find.__globals__["PARTS"]
    for kind, name in [key for key in parts if key[0] == "encoder"]:
        monkeypatch.delitem(parts, (kind, name))
    assert complaints({"extends": "x", "encoder": {"use": "whisper"}}, validator(registry))
