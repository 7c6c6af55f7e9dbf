"""What every collator of steermoe promises, kept with one prompt, with several, and with the clips' own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from steermoe_core.testing import CollatorSuite

if TYPE_CHECKING:
    from steermoe_core.data.example import Example


class TestOnePrompt(CollatorSuite):
    """The common prompt for all."""

    component = "prompt"


class TestSeveralPrompts(CollatorSuite):
    """One of several, drawn for each clip."""

    component = "prompt"
    settings: ClassVar = {"prompts": ["what is it ?", "please transcribe the audio", "one two"]}


class TestOwnPrompts(CollatorSuite):
    """Each clip brings its own."""

    component = "prompt"
    settings: ClassVar = {"required": True}

    def example(self, name: str, text: str, seconds: float) -> Example:
        """Return an example with a question."""
        return attrs.evolve(super().example(name, text, seconds), prompt="what is the content ?")
