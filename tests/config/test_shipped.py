"""The experiments of this project and the real registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from steermoe_core.config.fields import fields_of, parameters
from steermoe_core.config.resolve import resolve
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.plugins import load_registry

ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in (ROOT / "experiments").rglob("*.toml") if path.parent.name != "base")
PLUGINS = sorted(path.parent.name.replace("-", "_") for path in ROOT.glob("plugins/*/pyproject.toml"))
REGISTRY = load_registry()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_experiments_resolve_to_themselves(path, tmp_path):
    """Each is right, and its complete form has the same digest."""
    for plugin in PLUGINS:
        pytest.importorskip(plugin)
    for cell in resolve_sweep(path, [], REGISTRY):
        again = tmp_path / "experiment.toml"
        again.write_text(cell.resolved.to_toml(), encoding="utf-8")
        assert resolve(again, [], REGISTRY).digest == cell.resolved.digest


def test_the_sweep_is_about_experts_and_nothing_else():
    """Its cells are one experiment with other numbers of experts and other seeds."""
    pytest.importorskip("steermoe_pocket")
    file = ROOT / "experiments" / "sweep_experts.toml"
    cells = resolve_sweep(file, [], REGISTRY)
    same = ["adapter.experts=8", "experiment.seed=17"]
    assert len(cells) == 8
    assert len({cell.resolved.digest for cell in cells}) == 8
    assert len({cell.resolved.digest for cell in resolve_sweep(file, same, REGISTRY)}) == 1
    assert {tuple(cell.settings) for cell in cells} == {("adapter.experts", "experiment.seed")}


COMPONENTS = [(kind, part) for plugin in REGISTRY.plugins for kind, part in plugin.components]


@pytest.mark.parametrize(("kind", "part"), COMPONENTS, ids=lambda value: getattr(value, "name", value))
def test_every_key_of_every_component_is_documented(kind, part):
    """One `:param:` a key, none left over."""
    cls = part.config_class()
    assert set(parameters(cls)) == set(fields_of(cls)), kind
