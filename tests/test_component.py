"""The record that a plugin yields, and the public names of the package."""

from __future__ import annotations

import attrs
import pytest

import steermoe_core
from steermoe_core.component import KINDS, Component, Selection, choose, load
from steermoe_core.hookspecs import HOOK_OF_KIND
from steermoe_core.plugins.quarantine import HOOKS

FACTS = {"name": "tiny", "api": 1, "summary": "", "config": "a.b:C", "factory": "a:d"}


def test_public_names_are_sorted_and_exist() -> None:
    """`__all__` is what the documentation promises, each name importable."""
    assert sorted(steermoe_core.__all__) == steermoe_core.__all__
    assert all(hasattr(steermoe_core, name) for name in steermoe_core.__all__)
    assert set(steermoe_core.__all__) <= set(dir(steermoe_core))


def test_unknown_public_name() -> None:
    """A lazy package still says clearly what it does not have."""
    with pytest.raises(AttributeError, match="'steermoe_core' has no attribute 'Componnent'"):
        _ = steermoe_core.Componnent


def test_every_kind_has_a_hook() -> None:
    """A kind without a hook could not be offered by anybody."""
    assert tuple(HOOK_OF_KIND) == KINDS
    assert set(HOOK_OF_KIND.values()) <= HOOKS


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("name", ""),
        ("name", "two words"),
        ("name", 5),
        ("api", "1"),
        ("summary", None),
        ("config", "module.Class"),
        ("factory", "module:"),
    ],
)
def test_wrong_facts_are_refused(fact: str, value: object) -> None:
    """A wrong record fails where the plugin's author made it."""
    with pytest.raises((TypeError, ValueError)):
        Component(**{**FACTS, fact: value})


def test_classes_are_imported_when_asked_for() -> None:
    """A component may name modules that do not exist until somebody needs them."""
    component = Component(**{**FACTS, "config": "steermoe_core.component:Selection", "factory": "nowhere:f"})

    assert component.config_class() is Selection
    with pytest.raises(ModuleNotFoundError):
        component.build(None)


def test_build_passes_settings_and_context() -> None:
    """The factory gets the settings first, then what its kind is given."""
    component = Component(**{**FACTS, "factory": "steermoe_core.component:Selection"})

    assert component.build("encoder", "tiny", 3) == Selection("encoder", "tiny", 3)


def test_choose_of_an_unknown_kind() -> None:
    """A settings class with a misspelt kind fails at its definition."""
    with pytest.raises(ValueError, match="'ruoter' is not a kind"):
        choose("ruoter")


def test_choose_is_required_without_default() -> None:
    """Only a field with a default component may be left out."""

    @attrs.frozen
    class Settings:
        router: Selection = choose("router")

    with pytest.raises(TypeError):
        Settings()
    assert attrs.fields(Settings).router.metadata == {"kind": "router", "default": None, "one": False}


def test_load_names_what_is_missing() -> None:
    """A wrong attribute is an AttributeError that names it."""
    with pytest.raises(AttributeError, match="Nothing"):
        load("steermoe_core.component:Nothing")


def test_what_it_gives_and_needs_is_kept_in_order() -> None:
    """Words in any collection, each once; a component can still be hashed."""
    component = Component(**FACTS, gives=["b", "a", "b"], needs={"encoder": {"layer-taps"}})

    assert component.gives == ("a", "b")
    assert component.needs == {"encoder": ("layer-taps",)}
    assert hash(component) == hash(attrs.evolve(component))


def test_a_component_may_be_silent() -> None:
    """One word about itself, be it that it gives nothing, and it is not."""
    assert Component(**FACTS).undeclared
    assert not Component(**FACTS, gives=()).undeclared
    assert not Component(**FACTS, needs={}).undeclared


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"gives": "layer-taps"}, "one capability is a tuple too"),
        ({"gives": ("Layer Taps",)}, "'Layer Taps' is not a valid capability"),
        ({"needs": {"encodr": ()}}, "'encodr' is not a kind"),
        ({"needs": {"encoder": "layer-taps"}}, "one capability is a tuple too"),
    ],
)
def test_wrong_capabilities_are_refused(declared: dict, message: str) -> None:
    """Where the plugin's author wrote them."""
    with pytest.raises((TypeError, ValueError), match=message):
        Component(**FACTS, **declared)
