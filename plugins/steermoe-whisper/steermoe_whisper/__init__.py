"""OpenAI Whisper as a frozen audio encoder for steermoe; imports neither torch nor transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_encoders() -> Iterator[Component]:
    """Yield the Whisper encoder."""
    yield Component(
        name="whisper",
        api=1,
        summary="OpenAI Whisper encoder, 50 frames/s",
        config="steermoe_whisper.config:WhisperConfig",
        factory="steermoe_whisper.encoder:WhisperEncoder",
        gives=("layer-taps", "linear-maps", "own-decoder", "packing"),
    )
