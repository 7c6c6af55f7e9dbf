"""Augmentation of training clips for steermoe; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_augmentations() -> Iterator[Component]:
    """Yield SpecAugment and four changes of the waveform."""
    parts = (
        ("spec-augment", "SpecAugment", "spectra", "masks over time and frequency in the features"),
        ("noise", "Noise", "waveforms", "noise from files at a random signal-to-noise ratio"),
        ("reverb", "Reverb", "waveforms", "reverberation with impulse responses from files"),
        ("speed", "Speed", "waveforms", "faster or slower playback, pitch included"),
        ("gain", "Gain", "waveforms", "louder or quieter audio"),
    )
    for name, cls, module, summary in parts:
        yield Component(
            name=name,
            api=1,
            summary=summary,
            config=f"steermoe_augment.config:{cls}Config",
            factory=f"steermoe_augment.{module}:{cls}",
            gives=(),
        )
