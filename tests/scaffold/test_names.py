"""One name gives all others, or a sentence that says why it cannot."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.errors import UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.scaffold.names import Names, chosen

BUILTIN = load_registry(no_plugins=True)


def test_names() -> None:
    """Distribution, package and classes."""
    names = chosen("my-encoder", "encoder", BUILTIN)
    assert (names.distribution, names.package) == ("steermoe-my-encoder", "steermoe_my_encoder")
    assert (names.cls, names.config) == ("MyEncoder", "MyEncoderConfig")


@pytest.mark.parametrize(
    ("name", "kind", "cls"),
    [
        ("beats", "encoder", "BeatsEncoder"),
        ("encoder", "encoder", "EncoderEncoder"),
        ("asr-collator", "collator", "AsrCollatorCollator"),
        ("wav2vec2", "encoder", "Wav2vec2Encoder"),
    ],
)
def test_classes(name: str, kind: str, cls: str) -> None:
    """The kind is said once, and no class has the name of the one that it derives from."""
    assert Names(kind, name).cls == cls


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_a_clear_no(text: str) -> None:
    """What passes is an identifier behind steermoe_."""
    with suppress(UsageError):
        package = chosen(text, "encoder", BUILTIN).package
        assert package.isidentifier()
        assert package == package.lower()
