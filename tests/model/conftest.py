"""A tiny encoder, clips for it, and a tiny language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.parts import TinyConfig, TinyEncoder, decoder, noise

if TYPE_CHECKING:
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.decoder import CausalLM


@pytest.fixture(scope="module")
def encoder() -> TinyEncoder:
    """Return a tiny encoder of three layers."""
    return TinyEncoder(TinyConfig())


@pytest.fixture(scope="module")
def features(encoder: TinyEncoder) -> Padded:
    """Return three clips of 4, 12 and 8 frames."""
    return encoder.features([noise(0.4, 0), noise(1.2, 1), noise(0.8, 2)])


@pytest.fixture(scope="module")
def language_model(decoder_folder: str) -> CausalLM:
    """Return the tiny language model."""
    return decoder(decoder_folder)
