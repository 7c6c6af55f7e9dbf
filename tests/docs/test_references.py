"""The generated references are up to date, and complete."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

import steermoe_core
from docs.generate import api, architecture, commands, hooks
from steermoe_core import hookspecs
from steermoe_core.cli.commands import COMMANDS, command_parser
from steermoe_core.component import KINDS, load
from steermoe_core.plugins import load_registry
from steermoe_core.run.folder.adapter import PARTS
from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"
HOOKS = [name for name in vars(hookspecs) if name.startswith("steermoe_")]


@pytest.mark.parametrize(
    ("page", "module"),
    [("api.md", api), ("commands.md", commands), ("hooks.md", hooks)],
)
def test_the_page_is_up_to_date(page, module):
    """The committed page equals what the code gives."""
    renew = f"python -m {module.__name__} > docs/reference/{page}"
    assert (REFERENCE / page).read_text(encoding="utf-8") == module.reference(), f"renew it: {renew}"


def test_the_page_about_the_architecture_names_every_package():
    """With the first line of the docstring of its `__init__.py`."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    core = ROOT / "steermoe_core"
    packages = [file.parent for file in core.rglob("__init__.py") if file.parent != core]
    missing = [
        package
        for package in packages
        if f"`{package.relative_to(core).as_posix()}/`: {_first_line(package)}\n" not in page
    ]
    assert missing == [], "renew it: python -m docs.generate.architecture > docs/explanation/architecture.md"
    assert page == architecture.reference()


def _first_line(package):
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    return docstring.partition("\n")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_of_help_is_there(name):
    """The reference lists every flag of `--help`, under the command or under every command."""
    page = commands.reference()
    own = re.split(r"\n##", page.partition(f"### `{name}`\n")[2])[0] + page.partition("## Every command")[2]
    flags = set(re.findall(r"--[\w-]+", command_parser(name).format_help())) - {"--help"}
    assert [flag for flag in flags if f"`{flag}" not in own] == []


def test_values_have_names():
    """Where one of a few values is wanted the page lists them, as `--help` does."""
    page = commands.reference()
    assert "--device {auto,cpu,cuda}" in page
    assert "None" not in page


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_there_with_its_arguments(name):
    """Exactly the arguments that a plugin may take."""
    line = next(line for line in hooks.reference().splitlines() if line.startswith(f"| `{name}("))
    given = line.partition("(")[2].partition(")")[0]
    assert [part.partition(":")[0] for part in given.split(", ") if part] == list(
        inspect.signature(getattr(hookspecs, name)).parameters
    )


def test_every_kind_is_there_with_its_hook():
    """One row a kind."""
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \|", hooks.reference(), re.MULTILINE)
    assert rows == [(kind, hookspecs.HOOK_OF_KIND[kind]) for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS)
def test_factories_take_what_the_table_says(kind):
    """Every installed part of a kind can be called with exactly those arguments, in that order."""
    (row,) = re.findall(rf"^\| {kind} \| `\w+` \| (.*?) \|", hooks.reference(), re.MULTILINE)
    said = re.findall(r"(\w+):", row.replace("…", ""))
    registry = load_registry()
    for name in registry.names(kind):
        _config, *taken = inspect.signature(load(registry.get(kind, name).factory)).parameters.values()
        if not any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in taken):
            names = [one.name for one in taken]
            assert names in (said, [*said, "build"]), f"{kind} {name}"  # of parts that choose others


def test_the_types_of_the_table_are_public():
    """A plugin may import what its factory is given and what it returns."""
    table = hooks.reference().partition("## What a factory")[2].partition("The types")[0]
    types = set(re.findall(r"\b[A-Z]\w+", " ".join(re.findall(r"`(.*?)`", table))))
    assert types - {"Any", "Callable", "Path", "Sequence"} <= set(steermoe_core.__all__)
    assert {"Adapter", "Encoder", "Example", "Room", "Router", "Selection"} <= types


def test_the_run_folder_page_knows_every_file_and_key(runs):
    """What a run leaves behind is on the page, down to the keys of its JSON files."""
    import json

    page = (REFERENCE / "run-folder.md").read_text(encoding="utf-8")
    (run,) = runs.iterdir()
    files = {path.name for path in run.rglob("*") if path.is_file()}
    keys = {key for path in run.glob("*.json") for key in json.loads(path.read_text(encoding="utf-8"))}
    keys |= set(json.loads((run / "adapter" / "adapter.json").read_text(encoding="utf-8")))
    for scores in run.glob("evaluations/*/scores.json"):
        facts = json.loads(scores.read_text(encoding="utf-8"))
        keys |= {*facts, *facts["metrics"]["wer"], *facts["steering"][0]} - {"metric"}
    for lines in run.rglob("*.jsonl"):
        keys |= {key for line in lines.read_text(encoding="utf-8").splitlines() for key in json.loads(line)}
    assert sorted(word for word in files | keys | set(PARTS) if f"`{word}`" not in page) == []
