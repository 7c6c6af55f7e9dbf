"""What the plugin offers, and what looking at it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import steermoe_pocket

HEAVY = ("torch", "transformers", "numpy", "soundfile", "rich")


def test_it_is_installed_under_its_name() -> None:
    """The entry point that steermoe looks for."""
    (entry,) = entry_points(group="steermoe", name="pocket")
    assert entry.load() is steermoe_pocket


def test_looking_at_it_imports_nothing_heavy() -> None:
    """Lists and checks stay quick."""
    code = (
        "import sys, steermoe_pocket as pocket\n"
        "found = [*pocket.steermoe_weights(), *pocket.steermoe_datasets()]\n"
        "[component.config_class() for component in found]\n"
        f"print(len(found), [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    count = len([*steermoe_pocket.steermoe_weights(), *steermoe_pocket.steermoe_datasets()])
    assert done.stdout == f"{count} []\n"


@pytest.mark.parametrize(
    "component",
    [*steermoe_pocket.steermoe_weights(), *steermoe_pocket.steermoe_datasets()],
    ids=lambda c: c.name,
)
def test_every_component_can_be_imported(component: steermoe_pocket.Component) -> None:
    """Settings and factory are where it says."""
    assert component.config_class()() is not None
    module, _, name = component.factory.partition(":")
    assert callable(getattr(__import__(module, fromlist=[name]), name))
