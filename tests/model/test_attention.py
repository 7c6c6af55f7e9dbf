"""What answer tokens attend to: the weights that transformers' eager attention gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from tests.model.test_packing import ADAPTERS, APART, FAMILIES, ORDERS, model_of, saved
from tests.parts import batch

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined


def by_transformers(model: Joined, row: Batch) -> torch.Tensor:
    """Return the weights (heads,Y,A) of the whole row, prompt and all, in one pass of eager attention."""
    model.prefixed = False
    audio = model.audio(row.features)
    inputs, _ = model.inputs(row, audio, answered=True)
    model.decoder.model.set_attn_implementation("eager")
    found = model.decoder.model(inputs_embeds=inputs.values, output_attentions=True).attentions
    model.decoder.model.set_attn_implementation("sdpa")
    count, tokens = len(row.answer.rows()[0]), len(audio.rows()[0])
    prompt = None if model.decoder_adapter is None else model.decoder_adapter.prompt()
    start = len(row.before.rows()[0]) + (0 if prompt is None else len(prompt))
    return torch.cat([layer[0, :, -count:-1, start : start + tokens] for layer in found])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_any_family(family: str, order: str, tmp_path: Path) -> None:
    """Grouped heads, windows; the audio after a prompt that is cached, or before all text."""
    model = model_of(saved(family, FAMILIES[family], tmp_path), packing=False).eval()
    row = batch(model.encoder, **ORDERS[order]).row(1)

    found = model.answer_attention(row, model.audio(row.features))

    assert found is not None
    torch.testing.assert_close(found, by_transformers(model, row), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("adapter", ["soft prompt", "LoRA"])
@torch.no_grad()
def test_adapters_on_the_decoder(decoder_folder: str, adapter: str) -> None:
    """A soft prompt is before the row; LoRA changes what attends."""
    assert adapter in ADAPTERS
    model = model_of(decoder_folder, adapter, packing=True).eval()
    row = batch(model.encoder, **ORDERS["a shared prompt"]).row(0)

    found = model.answer_attention(row, model.audio(row.features))

    assert found is not None
    torch.testing.assert_close(found, by_transformers(model, row), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_the_model_stays_as_it_was(decoder_folder: str) -> None:
    """Its attention is the one that it was loaded with, and computes the same bits."""
    model = model_of(decoder_folder, packing=False).eval()
    given = batch(model.encoder, **ORDERS["a shared prompt"])
    audio = model.audio(given.features)
    before = model.answer_logits(given, audio)

    row = given.row(0)
    model.answer_attention(row, model.audio(row.features))

    assert model.decoder.model.config._attn_implementation == "sdpa"
    assert torch.equal(model.answer_logits(given, audio), before)


@pytest.mark.parametrize("family", APART)
def test_a_decoder_whose_weights_cannot_be_read(family: str, tmp_path: Path) -> None:
    """There are none, and no error."""
    model = model_of(saved(family, APART[family], tmp_path), packing=False).eval()
    row = batch(model.encoder).row(0)
    assert model.answer_attention(row, model.audio(row.features)) is None


def test_without_audio(decoder_folder: str) -> None:
    """There is nothing to attend to."""
    model = model_of(decoder_folder, packing=False).eval()
    row = batch(model.encoder).row(0)
    assert model.answer_attention(row, model.without_audio(row)) is None
