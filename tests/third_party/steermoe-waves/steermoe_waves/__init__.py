"""Raw-waveform encoders for steermoe; imports neither torch nor transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_encoders() -> Iterator[Component]:
    """Yield the encoder of raw waveforms."""
    yield Component(
        name="waves",
        api=1,
        summary="wav2vec 2.0 or HuBERT with layer norms, 50 frames/s",
        config="steermoe_waves.config:WavesConfig",
        factory="steermoe_waves.encoder:WavesEncoder",
        gives=("layer-taps", "linear-maps"),
    )
