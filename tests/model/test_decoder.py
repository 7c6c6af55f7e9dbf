"""The language model's parts give the numbers of the whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from steermoe_core.data.padded import Padded
from steermoe_core.model.config import CausalLMConfig
from steermoe_core.model.decoder import CausalLM
from tests.parts import decoder

IDS = torch.tensor([[12, 13, 14, 2, 3]])


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def language_model(request: pytest.FixtureRequest, decoder_folder: str) -> CausalLM:
    """Return the tiny language model with each implementation of attention."""
    return decoder(decoder_folder, attention=request.param)


def hidden_of(
    language_model: CausalLM, ids: torch.Tensor, cache: object = None, before: int = 0
) -> torch.Tensor:
    """Return hidden states of ids that follow `before` positions in the cache."""
    mask = torch.ones(len(ids), before + ids.shape[1], dtype=torch.long)
    positions = before + torch.arange(ids.shape[1]).expand(len(ids), -1)
    return language_model.hidden(language_model.embed(ids), mask, positions, cache)


def test_logits_of_hidden_states_are_the_models(language_model: CausalLM) -> None:
    """Embedding, body and head one after the other equal one call."""
    torch.testing.assert_close(
        language_model.logits(hidden_of(language_model, IDS)), language_model.model(input_ids=IDS).logits
    )
    assert language_model.width == language_model.embeddings.shape[1] == 32
    assert language_model.eos == 0


class TestRightPadded:
    """Rows that are padded at their ends need no mask, and the decoder gets none."""

    @pytest.mark.parametrize("start", [[], [12, 13]], ids=["alone", "after a prefix"])
    @pytest.mark.parametrize("recompute", [False, True])
    def test_equals_the_masked_pass(
        self, language_model: CausalLM, start: list[int], *, recompute: bool
    ) -> None:
        """Hidden states of real positions, and the gradients from them, whatever the padding holds."""
        torch.manual_seed(4)
        values = torch.randn(3, 5, 32)
        rows = Padded(values.clone().requires_grad_(), torch.tensor([5, 2, 4]))
        given = values.masked_fill(~rows.mask[..., None], 7.0).requires_grad_()
        mask = torch.nn.functional.pad(rows.mask.long(), (len(start), 0), value=1)
        positions = len(start) + torch.arange(5).expand(3, -1)
        language_model.recompute = recompute
        prefix = language_model.prefix(start)

        found = language_model.right_padded(rows, len(start), _cache(language_model, prefix))
        expected = language_model.hidden(given, mask, positions, _cache(language_model, prefix))

        language_model.recompute = False
        torch.testing.assert_close(found[rows.mask], expected[rows.mask], rtol=1e-5, atol=1e-5)
        found[rows.mask].square().sum().backward()
        expected[rows.mask].square().sum().backward()
        torch.testing.assert_close(rows.values.grad, given.grad, rtol=1e-4, atol=1e-4)
        assert not rows.values.grad[~rows.mask].any()

    def test_attention_is_causal_without_a_mask(
        self, decoder_folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that torch may choose its fused kernels."""
        asked = []
        attention = torch.nn.functional.scaled_dot_product_attention

        def observed(*args: Any, attn_mask: Any = None, is_causal: bool = False, **named: Any) -> Any:
            asked.append((attn_mask, is_causal))
            return attention(*args, attn_mask=attn_mask, is_causal=is_causal, **named)

        monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", observed)
        language_model = decoder(decoder_folder)
        language_model.right_padded(Padded(torch.randn(2, 4, 32), torch.tensor([4, 1])), 0, None)

        assert asked == [(None, True)] * 2

    def test_asks_a_plugin_that_computes_otherwise(self, decoder_folder: str) -> None:
        """Its `hidden` gets the mask, as it always did."""

        class Doubled(CausalLM):
            def hidden(self, embeds: Any, mask: Any, positions: Any, cache: Any) -> torch.Tensor:
                assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
                return 2 * super().hidden(embeds, mask, positions, cache)

        rows = Padded(torch.randn(2, 3, 32), torch.tensor([3, 1]))
        plain, doubled = decoder(decoder_folder), Doubled(CausalLMConfig(weights=decoder_folder))

        found = doubled.right_padded(rows, 0, None)

        torch.testing.assert_close(found[rows.mask], 2 * plain.right_padded(rows, 0, None)[rows.mask])


def _cache(language_model: CausalLM, prefix: Any) -> Any:
    return language_model.new_cache(prefix, 3) if prefix else None


@pytest.mark.parametrize("batch", [1, 3])
def test_positions_after_a_prefix_are_those_of_the_whole(language_model: CausalLM, batch: int) -> None:
    """Hidden states behind a cached prefix equal those of all ids together, in a batch of any size."""
    prefix = language_model.prefix([12, 13])
    rest = IDS[:, 2:].expand(batch, -1)

    found = hidden_of(language_model, rest, language_model.new_cache(prefix, batch), before=2)

    expected = hidden_of(language_model, IDS)[:, 2:].expand(batch, -1, -1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_used_cache_leaves_the_prefix_as_it_was(language_model: CausalLM) -> None:
    """A cache grows; the prefix that it started from does not."""
    prefix = language_model.prefix([12, 13])
    hidden_of(language_model, IDS[:, 2:], language_model.new_cache(prefix, 1), before=2)

    assert language_model.prefix([12, 13]) is prefix
    assert all(keys.shape[2] == values.shape[2] == 2 for keys, values in prefix)


@torch.no_grad()
def test_tokens_one_by_one_are_those_of_the_whole(
    language_model: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache of generation writes into spare columns, and takes more of them when they are used up."""
    monkeypatch.setattr("steermoe_core.model.cache.AHEAD", 2)
    cache = language_model.new_cache(language_model.prefix([12]), 2)
    tokens = IDS[:, 1:].expand(2, -1)

    found = [hidden_of(language_model, tokens[:, n : n + 1], cache, before=1 + n) for n in range(4)]

    expected = hidden_of(language_model, IDS)[:, 1:].expand(2, -1, -1)
    torch.testing.assert_close(torch.cat(found, 1), expected, rtol=1e-5, atol=1e-5)


def test_a_prefix_is_of_the_device_that_the_model_is_on(
    decoder_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that moves computes it again, and finds the first one when it is back."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # the meta device has no autocast
    language_model = decoder(decoder_folder)
    here = language_model.prefix([12, 13])
    table = language_model.embeddings
    language_model.to("meta")

    (elsewhere, _), *_ = language_model.prefix([12, 13])

    assert elsewhere.device == torch.device("meta")
    language_model.to_empty(device=table.device)
    assert language_model.prefix([12, 13]) is here


def test_no_prefix_is_an_empty_one(language_model: CausalLM) -> None:
    """Nothing is computed for no ids."""
    assert language_model.prefix([]) == []


def test_a_missing_pad_token_becomes_the_end_token(language_model: CausalLM) -> None:
    """Padding is masked everywhere, so any id will do."""
    assert language_model.tokenizer.pad_token_id == language_model.eos
