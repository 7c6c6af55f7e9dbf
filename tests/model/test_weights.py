"""Frozen stays frozen, its identity is exact, and shapes can be had without weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from steermoe_core.component import Selection
from steermoe_core.errors import SetupError
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.model.config import (
    CausalLMConfig,
    LinearConfig,
    MlpConfig,
    PoolConfig,
    SoftCtcConfig,
    SoftmaxRouterConfig,
    SteeringConfig,
)
from steermoe_core.model.decoder import CausalLM, load_tokenizer
from steermoe_core.model.joined import Joined
from steermoe_core.model.projectors import LinearProjector, MlpProjector
from steermoe_core.model.soft_ctc import SoftCtcProjector
from steermoe_core.model.steering import Steering
from steermoe_core.model.weights import at_hand, fingerprint, load, pretrained, shapes_only, weights_too
from tests.parts import TinyConfig, TinyEncoder, batch, build_router, joined

if TYPE_CHECKING:
    from pathlib import Path

#: Keyword arguments of a config, as tables of published models have them.
FACTS = {"model_type": "llama", "hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 1}
ROUTER = Selection("router", "softmax", SoftmaxRouterConfig())
PARTS: dict[str, tuple[Any, Any]] = {
    "linear": (LinearProjector, LinearConfig()),
    "stack": (LinearProjector, LinearConfig(pool=PoolConfig(kind="stack", kernel=3), start="ridge")),
    "mlp": (MlpProjector, MlpConfig(hidden=7)),
    "soft-ctc": (SoftCtcProjector, SoftCtcConfig()),
}


def whole(folder: str, projector: str, *, steered: bool) -> Joined:
    """Build a model of the named parts the way an experiment does."""
    encoder = TinyEncoder(TinyConfig())
    decoder = CausalLM(CausalLMConfig(weights=folder))
    adapter = Steering(SteeringConfig(router=ROUTER), encoder, build_router) if steered else NoAdapter(None)
    factory, config = PARTS[projector]
    return Joined(encoder, adapter, factory(config, encoder.width, decoder), decoder)


class TestFrozen:
    """Nothing switches a frozen part to training."""

    def test_stays_in_eval_mode(self, decoder_folder: str) -> None:
        """`train()` of the whole model reaches adapter and projector only: frozen dropout stays off."""
        model = joined(decoder_folder)
        model.train()

        assert model.adapter.training
        assert model.projector.training
        assert not any(
            module.training for part in (model.encoder, model.decoder) for module in part.modules()
        )
        features = batch(model.encoder).features
        assert torch.equal(model.encoder(features).values, model.encoder(features).values)

    def test_has_no_trainable_tensor(self, decoder_folder: str) -> None:
        """Only adapter and projector own parameters with gradients."""
        trainable = {
            name.split(".")[0] for name, p in joined(decoder_folder).named_parameters() if p.requires_grad
        }

        assert trainable == {"adapter", "projector"}


class TestFingerprint:
    """The identity of the tensors that are not trained."""

    def test_survives_a_training_step(self, decoder_folder: str) -> None:
        """An optimizer step over everything that is trainable changes no frozen tensor."""
        model = joined(decoder_folder)
        before = [fingerprint(part) for part in (model.encoder, model.decoder)]
        trained = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        model.train()
        model(batch(model.encoder), 10).backward()
        torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1).step()

        assert [fingerprint(part) for part in (model.encoder, model.decoder)] == before
        assert all(
            not torch.equal(p, trained[name]) for name, p in model.named_parameters() if name in trained
        )

    def test_changes_with_every_frozen_tensor(self) -> None:
        """One number of one tensor, parameter or buffer, is enough; putting it back restores the identity."""
        encoder = TinyEncoder(TinyConfig())
        encoder.register_buffer("flags", torch.tensor([True, False]))
        encoder.register_buffer("scalar", torch.tensor(1.5, dtype=torch.bfloat16))
        before = fingerprint(encoder)

        for tensor in encoder.state_dict().values():
            kept = tensor.clone()
            flat = tensor.view(-1)
            flat[-1] = ~flat[-1] if tensor.dtype == torch.bool else flat[-1] + 1
            assert fingerprint(encoder) != before
            tensor.copy_(kept)
        assert fingerprint(encoder) == before

    def test_leaves_trained_tensors_out(self) -> None:
        """Weights that are trained inside a frozen part have no share in its identity."""
        encoder = TinyEncoder(TinyConfig())
        before = fingerprint(encoder)
        encoder.added = nn.Linear(3, 3)

        assert fingerprint(encoder) == before
        encoder.added.requires_grad_(requires_grad=False)
        assert fingerprint(encoder) != before

    def test_tells_names_shapes_and_types_apart(self) -> None:
        """The same bytes in another form are other weights."""
        modules = [nn.Module() for _ in range(4)]
        modules[0].register_buffer("a", torch.zeros(4))
        modules[1].register_buffer("b", torch.zeros(4))
        modules[2].register_buffer("a", torch.zeros(2, 2))
        modules[3].register_buffer("a", torch.zeros(4, dtype=torch.int32))

        assert len({fingerprint(module) for module in modules}) == 4


class TestShapesOnly:
    """Models without weights: what a plan counts."""

    @pytest.mark.parametrize("steered", [True, False])
    @pytest.mark.parametrize("projector", PARTS)
    def test_counts_equal_the_real_ones(self, decoder_folder: str, projector: str, *, steered: bool) -> None:
        """Every tensor has its real name, shape and gradient flag, and none takes memory."""
        real = whole(decoder_folder, projector, steered=steered)
        with shapes_only():
            planned = whole(decoder_folder, projector, steered=steered)

        def facts(model: Joined) -> dict[str, tuple[torch.Size, torch.dtype, bool]]:
            return {n: (p.shape, p.dtype, p.requires_grad) for n, p in model.named_parameters()}

        assert facts(planned) == facts(real)
        assert planned.projector.tokens(30) == real.projector.tokens(30)
        assert planned.decoder.context == real.decoder.context == 256
        assert all(p.device.type == "meta" for p in planned.parameters())

    @pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
    def test_knows_the_precision(self, decoder_folder: str, dtype: str) -> None:
        """The dtype is that of the real weights."""
        config = CausalLMConfig(weights=decoder_folder, dtype=dtype)
        with shapes_only():
            planned = CausalLM(config)

        assert planned.embeddings.dtype == CausalLM(config).embeddings.dtype

    def test_a_config_on_this_machine_comes_first(self, decoder_folder: str) -> None:
        """What is known by heart stands in only for what is not here."""
        known = dict.fromkeys((decoder_folder, "nobody/nothing"), FACTS)
        with shapes_only():
            here = pretrained(AutoModelForCausalLM, decoder_folder, known=known)
            elsewhere = pretrained(AutoModelForCausalLM, "nobody/nothing", known=known)

        assert (here.config.hidden_size, elsewhere.config.hidden_size) == (32, 24)

    def test_weights_are_never_made_of_facts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Outside the block the same name has to be fetched, or is an error."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        known = {"nobody/nothing": FACTS}

        with pytest.raises(SetupError, match="no weights at 'nobody/nothing'"):
            pretrained(AutoModelForCausalLM, "nobody/nothing", known=known)
        with pytest.raises(SetupError, match="no weights at 'nobody/nothing'"):
            load_tokenizer("nobody/nothing")
        with shapes_only():
            assert load_tokenizer("nobody/nothing") is None

    def test_shapes_that_nobody_knows(self) -> None:
        """Nothing is fetched for a plan; the sentence says how to."""
        with shapes_only(), pytest.raises(SetupError, match=r"`hf download nobody/nothing config\.json`"):
            pretrained(AutoModelForCausalLM, "nobody/nothing")

    def test_ends_with_its_block(self, decoder_folder: str) -> None:
        """After the block, also when it fails, models have weights again."""
        with pytest.raises(ZeroDivisionError), shapes_only():
            raise ZeroDivisionError

        assert pretrained(AutoModelForCausalLM, decoder_folder).device.type == "cpu"

    def test_weights_may_be_needed_inside(self, decoder_folder: str) -> None:
        """Such as those that a plugin converts when it is asked for them."""
        with shapes_only():
            with weights_too():
                model = pretrained(AutoModelForCausalLM, decoder_folder)
            assert pretrained(AutoModelForCausalLM, decoder_folder).device.type == "meta"

        assert all(bool(torch.isfinite(tensor).all()) for tensor in model.parameters())


def test_missing_weights_are_named(tmp_path: Path) -> None:
    """The error says what was asked for and what it could have been."""
    config = attrs.evolve(CausalLMConfig(weights=""), weights=str(tmp_path / "nothing"))

    with pytest.raises(SetupError, match=r"no weights at .*nothing"):
        CausalLM(config)
    with pytest.raises(SetupError, match="no weights at"):
        load(AutoModelForCausalLM, str(tmp_path))


def test_weights_are_at_hand_in_a_folder_or_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config alone, which a look at a model leaves in the cache, is not enough."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "models--somebody--small" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").touch()

    assert not at_hand("somebody/small")
    (snapshot / "model.safetensors").touch()
    assert at_hand("somebody/small")
    assert at_hand(str(tmp_path))
    assert not at_hand("somebody/large")
