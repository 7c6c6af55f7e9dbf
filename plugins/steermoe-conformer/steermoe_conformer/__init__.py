"""Conformers and Hugging Face audio models as frozen encoders; imports neither torch nor transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_encoders() -> Iterator[Component]:
    """Yield the FireRedASR conformer and the encoder that wraps any Hugging Face audio model."""
    yield Component(
        name="conformer",
        api=1,
        summary="FireRedASR-AED conformer encoder, 25 frames/s",
        config="steermoe_conformer.config:ConformerConfig",
        factory="steermoe_conformer.encoder:ConformerEncoder",
        gives=("layer-taps", "linear-maps"),
    )
    yield Component(
        name="hf",
        api=1,
        summary="any Hugging Face audio encoder: Parakeet, w2v-BERT, LASR, wav2vec 2.0, HuBERT, …",
        config="steermoe_conformer.config:HfConfig",
        factory="steermoe_conformer.hf:HfEncoder",
        gives=("layer-taps", "linear-maps"),
    )
