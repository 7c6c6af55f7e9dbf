"""What parts say of themselves decides who works with whom; what they do not say decides nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from steermoe_core.component import CAPABILITIES, KINDS, Component
from steermoe_core.config.check.capabilities import between, givers, lacking, related
from steermoe_core.config.resolve import resolve
from steermoe_core.errors import ConfigError
from steermoe_core.plugins import load_registry

REGISTRY = load_registry()
ENCODER = {"name": "e", "api": 1, "summary": "", "config": "a:b", "factory": "a:b"}
TAPS = {"encoder": ("layer-taps",)}


def part(**said) -> Component:
    return Component(**ENCODER, **said)


@pytest.mark.parametrize(
    ("needs", "gives", "lacks"),
    [
        ({"needs": TAPS}, {"gives": ("layer-taps", "linear-maps")}, ()),
        ({"needs": TAPS}, {"gives": ()}, ("layer-taps",)),
        ({"needs": TAPS}, {"needs": {}}, ("layer-taps",)),
        ({"needs": {"decoder": ("layer-taps",)}}, {"gives": ()}, ()),
        ({"gives": ()}, {"gives": ()}, ()),
        ({"needs": TAPS}, {}, None),
        ({"gives": ()}, {}, ()),
        ({}, {"gives": ("layer-taps",)}, None),
    ],
)
def test_lacking(needs, gives, lacks):
    """A part that says one thing of itself has said all; a silent one is not known."""
    assert lacking(part(**needs), "encoder", part(**gives)) == lacks


def test_between_looks_both_ways():
    """Who is asked first does not matter; one thing that is known to lack settles it."""
    adapter, encoder, silent = part(needs=TAPS, gives=()), part(gives=()), part()
    assert between("adapter", adapter, "encoder", encoder) == ("layer-taps",)
    assert between("encoder", encoder, "adapter", adapter) == ("layer-taps",)
    assert between("encoder", silent, "adapter", adapter) is None
    assert between("encoder", encoder, "adapter", part(gives=())) == ()


def test_a_mistake_elsewhere_does_not_hide_it(minimal, registry):
    """All problems at once, as ever."""
    flags = ["callbacks.0.use=gate-log", "train.stepz=1"]
    with pytest.raises(ConfigError) as caught:
        resolve(minimal, flags, registry)
    assert {problem.code for problem in caught.value.problems} == {"E102", "E304"}


def test_a_silent_part_is_never_refused(minimal, registry):
    """The encoder of these tests was written before there were such words."""
    assert resolve(minimal, ["adapter.use=steering", "callbacks.0.use=gate-log"], registry)


def test_givers_have_all_of_the_words(registry):
    """Not only one of them."""
    assert givers(registry, "adapter", ("gates",)) == ["steering"]
    assert givers(registry, "adapter", ("gates", "more")) == []


def test_the_builtin_parts_need_what_they_need():
    """Steering an encoder, watching gates."""
    builtin = load_registry(no_plugins=True)
    assert related(builtin) == [("adapter", "encoder"), ("callback", "adapter")]


def test_shipped_parts_say_what_they_give_and_need():
    """All of this project but sets of weights, which only lie there."""
    plugins = Path(__file__).parents[3] / "plugins"
    shipped = {"steermoe", *(path.parent.name for path in plugins.glob("*/pyproject.toml"))}
    silent = [
        (plugin.name, kind, part.name)
        for plugin in REGISTRY.plugins
        if plugin.distribution in shipped
        for kind, part in plugin.components
        if part.silent and kind != "weights"
    ]
    assert silent == []


def test_every_need_of_a_shipped_part_is_one_that_somebody_gives():
    """A misspelt word would make a part that goes with nothing."""
    for plugin in REGISTRY.plugins:
        for _, part in plugin.components:
            for kind, words in (part.needs or {}).items():
                assert givers(REGISTRY, kind, words), (part.name, kind, words)


def test_the_engines_words_belong_to_kinds():
    """Each says which kind promises what."""
    assert all(text.partition(":")[0] in KINDS for text in CAPABILITIES.values())
