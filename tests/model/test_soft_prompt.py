"""Soft prompts: where they start, where they are in a row, and what they cost."""

from __future__ import annotations

import pytest
import torch

from steermoe_core.errors import UsageError
from steermoe_core.model.config import LinearConfig, SoftPromptConfig
from steermoe_core.model.joined import Joined
from steermoe_core.model.projectors import LinearProjector
from steermoe_core.model.soft_prompt import SoftPrompt
from tests.parts import TinyConfig, TinyEncoder, batch, decoder


@pytest.fixture
def language_model(decoder_folder: str):
    """Return the tiny decoder."""
    return decoder(decoder_folder)


def prompt(language_model, **settings) -> SoftPrompt:
    """Return a soft prompt; the same one for the same settings."""
    torch.manual_seed(0)
    return SoftPrompt(SoftPromptConfig(**settings), language_model)


def test_it_starts_as_rows_of_the_embedding_table(language_model) -> None:
    """In fp32, whatever the precision of the table; the same seed draws the same rows."""
    rows = prompt(language_model, tokens=5).embeddings

    assert rows.shape == (5, language_model.width)
    assert rows.dtype == torch.float32
    table = language_model.embeddings
    assert all((table == row).all(1).any() for row in rows)
    assert torch.equal(rows, prompt(language_model, tokens=5).embeddings)


def test_it_starts_as_a_text(language_model) -> None:
    """Repeated and cut to the number of embeddings."""
    ids = language_model.tokenizer("one two", add_special_tokens=False)["input_ids"]

    rows = prompt(language_model, tokens=5, text="one two").embeddings

    assert torch.equal(rows, language_model.embeddings[[*ids, *ids, ids[0]]])


def test_a_text_without_tokens_is_refused(language_model) -> None:
    """The message names the key."""
    with pytest.raises(UsageError, match=r"adapter\.text ' ' has no tokens"):
        prompt(language_model, text=" ")


def test_it_comes_first_in_every_row(language_model) -> None:
    """Before the text, in training and in generation; it takes positions of the context."""
    encoder = TinyEncoder(TinyConfig())
    projector = LinearProjector(LinearConfig(), encoder.width, language_model)
    adapter = prompt(language_model, tokens=3)
    plain = Joined(encoder, torch.nn.Module(), projector, language_model)
    model = Joined(encoder, torch.nn.Module(), projector, language_model, adapter)
    plain.prefixed = False
    given = batch(encoder)
    audio = projector(encoder(given.features))[0]

    for answered in (True, False):
        bare, _ = plain.inputs(given, audio, answered=answered)
        inputs, prefix = model.inputs(given, audio, answered=answered)
        assert prefix == []
        for row, own in zip(inputs.rows(), bare.rows(), strict=True):
            assert torch.equal(row[:3], adapter.embeddings)
            assert torch.equal(row[3:], own)
    assert model.context == language_model.context - 3
