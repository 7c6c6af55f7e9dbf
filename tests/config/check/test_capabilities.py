"""What components declare decides which of them work together; what they do not declare decides nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from steermoe_core.component import CAPABILITIES, KINDS, Component
from steermoe_core.config.check.capabilities import (
    dependent_kinds,
    lacking,
    lacking_mutually,
    needs_of,
    providers,
)
from steermoe_core.config.resolve import resolve
from steermoe_core.errors import ConfigError
from steermoe_core.plugins import load_registry

REGISTRY = load_registry()
ENCODER = {"name": "e", "api": 1, "summary": "", "config": "a:b", "factory": "a:b"}
TAPS = {"encoder": ("layer-taps",)}


def part(**declared) -> Component:
    return Component(**ENCODER, **declared)


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
    """A component that declares one thing has declared everything; otherwise nothing is known."""
    assert lacking(part(**needs), "encoder", part(**gives)) == lacks


def test_lacking_mutually_looks_both_ways():
    """The order does not matter; one capability that is known to be missing decides."""
    adapter, encoder, unknown = part(needs=TAPS, gives=()), part(gives=()), part()
    assert lacking_mutually("adapter", adapter, "encoder", encoder) == ("layer-taps",)
    assert lacking_mutually("encoder", encoder, "adapter", adapter) == ("layer-taps",)
    assert lacking_mutually("encoder", unknown, "adapter", adapter) is None
    assert lacking_mutually("encoder", encoder, "adapter", part(gives=())) == ()


def test_a_mistake_elsewhere_does_not_hide_it(minimal, registry):
    """All problems at once, as ever."""
    flags = ["callbacks.0.use=gate-log", "train.stepz=1"]
    with pytest.raises(ConfigError) as caught:
        resolve(minimal, flags, registry)
    assert {problem.code for problem in caught.value.problems} == {"E102", "E304"}


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["encoder.input=true-length"], []),
        ([], ['encoder "whisper" cannot pack clips: input = "30s" makes']),
        (
            ["encoder.input=true-length", "decoder.attention=eager", "encoder.attention=eager"],
            [
                f'{tower} cannot pack clips: it needs attention = "sdpa"'
                for tower in ('encoder "whisper"', 'decoder "causal-lm"')
            ],
        ),
        (["encoder.use=conformer"], ['encoder "conformer" cannot pack clips: encoders that can: whisper']),
    ],
)
def test_parts_and_settings_that_cannot_pack_clips(minimal, flags, wanted):
    """Each is reported at its place in `train.packing`."""
    flags = ["encoder.weights=w", *flags, 'train.packing=["encoder", "decoder"]']
    found = []
    try:
        resolve(minimal, flags, REGISTRY)
    except ConfigError as error:
        found = [f"{problem.message}: {problem.hint}" for problem in error.problems]
    assert len(found) == len(wanted)
    assert all(one.startswith(start) for one, start in zip(found, wanted, strict=True))


def test_a_part_that_declares_nothing_is_never_refused(minimal, registry):
    """Like the encoder of these tests."""
    assert resolve(minimal, ["adapter.use=steering", "callbacks.0.use=gate-log"], registry)


def test_providers_have_all_of_the_words(registry):
    """Not only one of them."""
    assert providers(registry, "adapter", ("gates",)) == ["steering"]
    assert providers(registry, "adapter", ("gates", "more")) == []


def test_the_builtin_parts_need_what_they_need():
    """Steering an encoder, watching gates."""
    builtin = load_registry(no_plugins=True)
    assert dependent_kinds(builtin) == [("adapter", "encoder"), ("callback", "adapter")]


def test_shipped_parts_say_what_they_give_and_need():
    """All of this project but sets of weights and launchers, which meet no other part."""
    plugins = Path(__file__).parents[3] / "plugins"
    shipped = {"steermoe", *(path.parent.name for path in plugins.glob("*/pyproject.toml"))}
    undeclared = [
        (plugin.name, kind, part.name)
        for plugin in REGISTRY.plugins
        if plugin.distribution in shipped
        for kind, part in plugin.components
        if part.undeclared and kind not in ("weights", "launcher")
    ]
    assert undeclared == []


def test_every_need_of_a_shipped_part_is_one_that_somebody_gives():
    """A misspelt word would make a part that goes with nothing."""
    for plugin in REGISTRY.plugins:
        for _, part in plugin.components:
            for kind, needed in needs_of(part).items():
                assert providers(REGISTRY, kind, needed), (part.name, kind, needed)


def test_the_engines_words_belong_to_kinds():
    """Each says which kind promises what."""
    assert all({*text.partition(":")[0].split(", ")} <= {*KINDS} for text in CAPABILITIES.values())
