"""The plugin's records, how cheap they are to read, and what of the engine the plugin uses."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import steermoe_core
import steermoe_projectors
from steermoe_projectors.config import CifConfig, ConvConfig, WindowQFormerConfig

SOURCE = Path(steermoe_projectors.__file__).parent


def test_offers_five_projectors():
    names = [component.name for component in steermoe_projectors.steermoe_projectors()]

    assert names == ["window-qformer", "conv", "mixture", "cif", "recurrent"]


def test_records_and_settings_need_no_torch():
    code = (
        "import sys, steermoe_projectors as plugin;"
        "[part.config_class() for part in plugin.steermoe_projectors()];"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("file", sorted(SOURCE.glob("*.py")), ids=lambda file: file.stem)
def test_uses_public_names_only(file):
    imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    used = [(node.module, name.name) for node in imports for name in node.names]
    engine = [(module, name) for module, name in used if module.startswith("steermoe_core")]

    assert all(module == "steermoe_core" and name in steermoe_core.__all__ for module, name in engine)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (lambda: WindowQFormerConfig(width=30, heads=4), "width is 30, not a multiple of heads"),
        (lambda: ConvConfig(kernel=4), "kernel is 4; take an odd number"),
        (lambda: ConvConfig(kernel=3, stride=4), "frames between are never read"),
        (lambda: CifConfig(kernel=2), "kernel is 2; take an odd number"),
    ],
)
def test_refuses_settings_that_contradict_each_other(settings, reason):
    with pytest.raises(ValueError, match=reason):
        settings()
