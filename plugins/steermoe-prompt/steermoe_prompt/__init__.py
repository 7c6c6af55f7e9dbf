"""A prompt for each example, or one drawn from several; imports neither torch nor transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_collators() -> Iterator[Component]:
    """Yield the layout with a prompt for each example."""
    yield Component(
        name="prompt",
        api=1,
        summary="audio, the clip's own prompt or one of several, answer",
        config="steermoe_prompt.config:PromptConfig",
        factory="steermoe_prompt.collator:PromptCollator",
        needs={},
    )
