"""The public names: few, sorted, documented, and enough for everybody who writes a plugin."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import steermoe_core
from docs.generate import api

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "api.md"
PUBLIC = {f"steermoe_core.{name}" for name in steermoe_core.__all__}
#: Where plugins are written that only public names may be used in.
STRANGERS = sorted(
    path
    for folder, pattern in (
        ("tests/third_party", "steermoe-*/**/*.py"),
        ("steermoe_core/scaffold/templates", "*.txt"),
        ("docs/tutorial", "write-*.md"),
        ("docs/how-to", "write-a-*.md"),
        ("docs/how-to", "add-a-command.md"),
        ("docs/how-to", "read-audio-from-an-archive.md"),
        ("docs/how-to", "augment-training-clips.md"),
        ("plugins/steermoe-augment", "steermoe_augment/*.py"),
    )
    for path in (ROOT / folder).glob(pattern)
)
_FROM = re.compile(r"^\s*from (steermoe_core[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)
_IMPORT = re.compile(r"^\s*import (steermoe_core[\w.]*)", re.MULTILINE)


def imports(text: str) -> set[str]:
    """Return every name of the engine that a text imports, with its module."""
    found = {
        f"{module}.{name.strip().partition(' as ')[0]}"
        for module, names in _FROM.findall(text)
        for name in re.sub(r"#.*", "", names).strip("()\n ").split(",")
        if name.strip()
    }
    return found | set(_IMPORT.findall(text))


def allowed(name: str) -> bool:
    """Tell whether a plugin may import a name: a public one, or one of the conformance kit."""
    return (
        name in PUBLIC | {"steermoe_core"}
        or re.fullmatch(r"steermoe_core\.testing(\.\w+)?", name) is not None
    )


@pytest.mark.parametrize("path", STRANGERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_strangers_import_public_names_alone(path: Path) -> None:
    """Plugins of third parties, what `new-plugin` writes, and the pages that teach it."""
    assert [name for name in sorted(imports(path.read_text(encoding="utf-8"))) if not allowed(name)] == []


def test_the_search_finds_imports() -> None:
    """All spellings that occur, or the test above could not fail."""
    text = "from steermoe_core import (\n    A,\n    B as C,\n)\nimport steermoe_core.model\n"

    found = imports(text + "    from steermoe_core.data.padded import P  # why\n")

    assert found == {
        "steermoe_core.A", "steermoe_core.B", "steermoe_core.data.padded.P", "steermoe_core.model",
    }  # fmt: skip
    assert not any(map(allowed, found))
    assert {path.suffix for path in STRANGERS} == {".md", ".py", ".txt"}


def test_the_page_lists_exactly_the_public_names() -> None:
    """Sorted, each with a line that says what it is, and a section of its own."""
    page = PAGE.read_text(encoding="utf-8")

    assert re.findall(r"^\| \[`(\w+)`\]\(#\w+\) \| \S", page, re.MULTILINE) == sorted(steermoe_core.__all__)
    assert re.findall(r"^## `(\w+)`$", page, re.MULTILINE) == steermoe_core.__all__


def test_the_page_has_every_method_that_a_plugin_implements() -> None:
    """Each abstract member of a base class stands on the page, marked."""
    sections = re.split(r"^## ", api.reference(), flags=re.MULTILINE)
    marked = {
        (section.partition("`\n")[0].strip("`"), name)
        for section in sections
        for name in re.findall(r"^\| `(\w+)[(:].*\*\*To be implemented\.\*\*", section, re.MULTILINE)
    }
    abstract = {
        (name, member)
        for name in set(steermoe_core.__all__) - {"Tap"}
        for member in dir(getattr(steermoe_core, name))
        if getattr(getattr(getattr(steermoe_core, name), member, None), "__isabstractmethod__", False)
    }

    assert marked == abstract
    assert len(abstract) > 15


def test_light_names_bring_nothing_heavy() -> None:
    """What the page calls light may be imported by every command; the rest brings torch or numpy."""
    light = [name for name in steermoe_core.__all__ if api.light(name)]
    code = (
        f"import sys; from steermoe_core import {', '.join(light)};"
        "print({'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
    assert {"Component", "PoolConfig", "UsageError", "choose", "hookimpl"} <= set(light)
    assert "Encoder" not in light
