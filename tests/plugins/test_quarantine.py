"""Every way for one plugin to be broken has a reason of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.plugins import load_registry
from tests.host import BROKEN, COMPONENT, HEAD, plugin

if TYPE_CHECKING:
    from conftest import Site


@pytest.mark.parametrize("case", BROKEN)
def test_broken_plugin_is_quarantined(site: Site, case: str) -> None:
    """Each has its reason and hint, offers nothing, and leaves the others alone."""
    source, reason, hint = BROKEN[case]
    site.add("odd", source)
    site.healthy("fine")

    registry = load_registry()

    odd = plugin(registry, "odd")
    assert odd.status == "broken"
    assert all(words in str(odd.reason) for words in reason), odd.reason
    assert hint in odd.hint
    assert odd.components == ()
    assert registry.find("encoder", "odd") is None
    assert registry.find("encoder", "fine")


def test_broken_plugin_registers_none_of_its_components(site: Site) -> None:
    """One bad hook takes the plugin's good components with it."""
    good = HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield " + COMPONENT.format(api=1)
    site.add("half", good + "\n@hookimpl\ndef steermoe_routers():\n  raise ValueError")

    assert load_registry().find("encoder", "odd") is None


@pytest.mark.parametrize("value", ["fake_odd:", "two words", "fake-odd", "fake_odd:a:b"])
def test_malformed_entry_point(site: Site, value: str) -> None:
    """A wrong `module:object` is the distribution's mistake, said so."""
    site.add("odd", "", value=value)

    assert "not of the form" in str(plugin(load_registry(), "odd").reason)


def test_unreadable_entry_points(site: Site) -> None:
    """A damaged file of one distribution is that distribution's problem only."""
    site.info("steermoe-odd", "1.0", "[steermoe]\nno equals sign\n")
    site.info("stranger", "1.0", "[else]\nno equals sign\n")
    site.healthy("fine")

    registry = load_registry()

    assert "entry_points.txt cannot be read" in str(plugin(registry, "odd").reason)
    assert plugin(registry, "fine").status == "active"


def test_removed_module(site: Site) -> None:
    """Metadata without a module is a half-removed distribution."""
    site.add("odd")

    assert plugin(load_registry(), "odd").reason == "its module fake_odd does not exist"


def test_metadata_without_name(site: Site) -> None:
    """A dist-info folder that lost its METADATA is still listed."""
    site.healthy("odd")
    (site.folder / "steermoe_odd-1.0.dist-info" / "METADATA").unlink()

    assert plugin(load_registry(), "odd").distribution == "unknown"
