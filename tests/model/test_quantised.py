"""Decoders in few bits: they compute as if their dequantised weights were their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from steermoe_core.errors import SetupError
from steermoe_core.model.config import CausalLMConfig
from steermoe_core.model.quantised import KINDS, Int8Linear, QuantisedLinear, number_of_weights, quantise
from steermoe_core.model.weights import fingerprint, shapes_only
from steermoe_core.train.zero import _check_splittable
from tests.parts import decoder, joined

if TYPE_CHECKING:
    from steermoe_core.model.decoder import CausalLM

IDS = torch.tensor([[12, 13, 14, 2, 3]])
#: Largest error of a dequantised weight, as a share of the largest weight beside it.
ERRORS = {"int8": 0.5 / 127, "nf4": 0.16}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return a way to quantise, if its library is installed."""
    if request.param == "nf4":
        pytest.importorskip("bitsandbytes")
    return str(request.param)


def dequantised(folder: str, quantised: CausalLM) -> CausalLM:
    """Return the plain decoder with the weights that a quantised one computes with."""
    plain = decoder(folder)
    for name, module in quantised.named_modules():
        if isinstance(module, QuantisedLinear):
            plain.get_submodule(name).weight.data = module.weight(torch.float32)
    return plain


class TestMap:
    """One linear map."""

    @pytest.mark.parametrize("bias", [False, True])
    def test_computes_with_its_dequantised_weight(self, kind: str, *, bias: bool) -> None:
        """Forward and backward, whatever the sizes."""
        torch.manual_seed(3)
        linear, x = nn.Linear(70, 30, bias=bias), torch.randn(2, 5, 70, requires_grad=True)
        other, down = x.detach().clone().requires_grad_(), torch.randn(2, 5, 30)
        quantised = KINDS[kind](linear)

        found = quantised(x)
        expected = nn.functional.linear(other, quantised.weight(torch.float32), linear.bias)
        (found * down).sum().backward()
        (expected * down).sum().backward()

        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(x.grad, other.grad)
        assert quantised.codes.grad is None

    def test_is_near_the_original(self, kind: str) -> None:
        """The error is a share of the largest weight of a row or block."""
        torch.manual_seed(3)
        linear = nn.Linear(64, 32)

        error = (KINDS[kind](linear).weight(torch.float32) - linear.weight).abs().amax(1)

        assert (error <= ERRORS[kind] * linear.weight.abs().amax(1) + 1e-6).all()

    def test_obeys_autocast(self, kind: str) -> None:
        """Its product is in half precision there, as of every linear map."""
        quantised = KINDS[kind](nn.Linear(64, 8))

        with torch.autocast("cpu", torch.bfloat16):
            assert quantised(torch.ones(1, 64)).dtype == torch.bfloat16
        assert quantised(torch.ones(1, 64)).dtype == torch.float32

    def test_a_row_of_zeros(self) -> None:
        """Has no scale to divide by."""
        linear = nn.Linear(4, 2)
        nn.init.zeros_(linear.weight)

        assert not Int8Linear(linear).weight(torch.float32).any()


class TestDecoder:
    """The layers of a language model."""

    def test_equals_the_dequantised_model(self, kind: str, decoder_folder: str) -> None:
        """Logits and the gradients of its inputs, also where layers are computed again."""
        quantised = decoder(decoder_folder, quantise=kind)
        plain = dequantised(decoder_folder, quantised)
        gradients, logits = [], []
        for model, recompute in ((plain, False), (quantised, False), (quantised, True)):
            model.recompute = recompute
            embeds = model.embed(IDS).detach().requires_grad_()
            mask, positions = torch.ones_like(IDS), torch.arange(IDS.shape[1])[None]
            logits.append(model.logits(model.hidden(embeds, mask, positions, None)))
            logits[-1][..., 3].sum().backward()
            gradients.append(embeds.grad)

        for found in (1, 2):
            torch.testing.assert_close(logits[found], logits[0], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(gradients[found], gradients[0], rtol=1e-4, atol=1e-5)

    def test_keeps_embeddings_norms_and_head(self, kind: str, decoder_folder: str) -> None:
        """They are small, or read row by row."""
        whole = decoder(decoder_folder).state_dict()
        state = decoder(decoder_folder, quantise=kind).state_dict()

        kept = [name for name in whole if name in state]
        assert [name for name in whole if "proj" not in name] == kept
        assert all(whole[name].equal(state[name]) for name in kept)

    def test_identity_is_of_the_quantised_weights(self, kind: str, decoder_folder: str) -> None:
        """Each way to quantise is another frozen part, the same every time."""
        found = fingerprint(decoder(decoder_folder, quantise=kind))

        assert found == fingerprint(decoder(decoder_folder, quantise=kind))
        assert found != fingerprint(decoder(decoder_folder))

    def test_a_plan_knows_its_bytes(self, kind: str, decoder_folder: str) -> None:
        """Shapes and types without weights are those of the loaded model."""
        with shapes_only():
            planned = decoder(decoder_folder, quantise=kind)
        loaded = decoder(decoder_folder, quantise=kind)

        assert {name: (p.shape, p.dtype) for name, p in planned.named_parameters()} == {
            name: (p.shape, p.dtype) for name, p in loaded.named_parameters()
        }
        assert all(p.is_meta for p in planned.parameters())
        assert number_of_weights(planned) == number_of_weights(decoder(decoder_folder))

    def test_cannot_be_split_at_stage_3(self, decoder_folder: str) -> None:
        """DeepSpeed splits tensors of floats."""
        model = joined(decoder_folder)
        model.decoder = decoder(decoder_folder, quantise="int8")

        with pytest.raises(SetupError, match="cannot split quantised weights; use stage 2"):
            _check_splittable(model)

    def test_names_the_package_that_it_needs(
        self, decoder_folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before a run, from the settings alone; and in a plan, which needs no other package."""
        assert CausalLMConfig(weights="a", quantise="nf4").requires == ("bitsandbytes>=0.49",)
        assert CausalLMConfig(weights="a", quantise="int8").requires == ()
        monkeypatch.setattr("steermoe_core.model.quantised.find_spec", lambda _: None)

        with pytest.raises(SetupError, match=r"`pip install steermoe\[nf4\]` brings it"):
            decoder(decoder_folder, quantise="nf4")

    def test_nothing_of_it_is_trained(self, kind: str, decoder_folder: str) -> None:
        """A joined model reads it, and its codes stay."""
        model = joined(decoder_folder)
        model.decoder = decoder(decoder_folder, quantise=kind)

        assert not any(p.requires_grad for p in model.decoder.parameters())


def test_a_model_without_linear_maps_is_refused() -> None:
    """Rather than left as it is."""
    with pytest.raises(SetupError, match="Embedding has no linear maps to quantise"):
        quantise(nn.Embedding(2, 3), "int8")
