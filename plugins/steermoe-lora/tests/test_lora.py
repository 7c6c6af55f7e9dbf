"""LoRA in the frozen encoder: formula, places, dropout, merging, and weights that keep their identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from steermoe_core.errors import UsageError
from steermoe_core.model.config import CausalLMConfig
from steermoe_core.model.decoder import CausalLM
from steermoe_core.model.weights import fingerprint, shapes_only
from steermoe_lora.adapter import Lora
from steermoe_lora.config import LoraConfig
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder
from tests.parts import (
    DenseEncoder,
    TinyConfig,
    TinyEncoder,
    batch,
    build_router,
    decoder,
    joined,
    noise,
    save_whisper,
)

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.model.encoder import Encoder

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
WHISPER_MAPS = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2",
}  # fmt: skip


def lora(encoder: Encoder, *, moved: bool = True, **settings: Any) -> Lora:
    """Put LoRA into an encoder; `moved` fills the zeros of B, as training does."""
    torch.manual_seed(0)
    adapter = Lora(LoraConfig(**{"rank": 2, **settings}), encoder, build_router)
    for matrix in adapter.groups()["lora"] if moved else ():
        nn.init.normal_(matrix, std=0.3)
    return adapter


def dense(**settings: int) -> DenseEncoder:
    """Return a tiny encoder with a linear map in each of its three layers."""
    return DenseEncoder(TinyConfig(**settings))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a random Whisper."""
    return save_whisper(tmp_path_factory.mktemp("whisper"))


def whisper(folder: str, **settings: Any) -> WhisperEncoder:
    """Return a tiny Whisper."""
    return WhisperEncoder(WhisperConfig(weights=folder, input="true-length", **settings))


class TestFormula:
    """Y = W x + b + alpha / rank · B (A x)."""

    @pytest.mark.parametrize(("rank", "alpha"), [(1, 1.0), (2, 16.0), (5, 2.5)])
    def test_of_one_map(self, rank: int, alpha: float) -> None:
        """Number by number in double precision."""
        encoder = dense()
        adapter = lora(encoder, rank=rank, alpha=alpha)
        x = torch.randn(12)
        for (layer, _), adapted in adapter.maps.items():
            frozen = DenseEncoder(TinyConfig()).mixers[layer].linear
            a, b = (m["default"].weight.double() for m in (adapted.lora_A, adapted.lora_B))
            assert (a.shape, b.shape) == ((rank, 12), (12, rank))
            expected = frozen.weight.double() @ x.double() + frozen.bias.double()
            expected = expected + alpha / rank * (b @ (a @ x.double()))
            torch.testing.assert_close(adapted(x).double(), expected, **CLOSE)

    def test_starts_at_the_bare_encoder(self, folder: str) -> None:
        """B is zero: frames are bit-equal; A is Kaiming-uniform: within 1/√in."""
        bare, encoder = whisper(folder), whisper(folder)
        adapter = lora(encoder, moved=False)
        features = bare.features([noise(0.5)])

        assert torch.equal(encoder(features).values, bare(features).values)
        for adapted in adapter.maps.values():
            a = adapted.lora_A["default"].weight
            assert not adapted.lora_B["default"].weight.any()
            assert 0.5 * a.shape[1] ** -0.5 < a.abs().max() <= a.shape[1] ** -0.5

    def test_start_depends_on_the_seed(self) -> None:
        """The same noise for the same seed."""
        one, two = (lora(dense(), moved=False).groups()["lora"] for _ in range(2))

        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


class TestPlaces:
    """Which maps get matrices."""

    def test_all_maps_of_all_layers(self, folder: str) -> None:
        """Attention and feed-forward maps of Whisper; nothing outside the layers."""
        adapter = lora(whisper(folder))

        assert set(adapter.maps) == {(layer, name) for layer in range(3) for name in WHISPER_MAPS}
        assert adapter.first_layer == 0

    @pytest.mark.parametrize(
        ("targets", "expected"),
        [
            (["fc1"], {"fc1"}),
            (["q_proj", "v_proj"], {"self_attn.q_proj", "self_attn.v_proj"}),
            (["self_attn.out_proj", "fc2"], {"self_attn.out_proj", "fc2"}),
        ],
    )
    def test_named_maps(self, folder: str, targets: list[str], expected: set[str]) -> None:
        """Names count from the right."""
        encoder = whisper(folder)
        adapter = lora(encoder, target_modules=targets)

        assert {name for _, name in adapter.maps} == expected
        inside = {name.split(".lora_")[0] for name, p in encoder.named_parameters() if p.requires_grad}
        assert inside == {f"model.layers.{layer}.{name}" for layer in range(3) for name in expected}

    def test_chosen_layers(self, folder: str) -> None:
        """Layers below the first one have no graph."""
        encoder = whisper(folder)
        adapter = lora(encoder, layers=[2, 1])
        seen = {}

        encoder(encoder.features([noise(0.4)]), seen.setdefault)

        assert {layer for layer, _ in adapter.maps} == {1, 2}
        assert adapter.first_layer == 1
        assert {layer: frames.values.requires_grad for layer, frames in seen.items()} == {
            0: False, 1: True, 2: True,
        }  # fmt: skip

    @pytest.mark.parametrize("target", ["fc3", "proj", "c1", "layers"])
    def test_a_name_that_is_not_there(self, folder: str, target: str) -> None:
        """The message lists the names that are."""
        with pytest.raises(UsageError, match=rf"'{target}', but .* have fc1, fc2, self_attn.k_proj, "):
            lora(whisper(folder), target_modules=["fc1", target])

    def test_a_layer_that_is_not_there(self, folder: str) -> None:
        """As with steering."""
        with pytest.raises(UsageError, match="layer 3, but the encoder's layers are 0 to 2"):
            lora(whisper(folder), layers=[3])

    def test_an_encoder_without_linear_maps(self) -> None:
        """Convolutions are not adapted, and the message says so."""
        with pytest.raises(UsageError, match="finds no linear map in the encoder's layers"):
            lora(TinyEncoder(TinyConfig()))
        with pytest.raises(UsageError, match="'fc1', but the encoder's layers have no linear map"):
            lora(TinyEncoder(TinyConfig()), target_modules=["fc1"])

    def test_a_quantised_decoder(self, decoder_folder: str) -> None:
        """Its maps cannot be adapted, and the message says so."""
        with pytest.raises(UsageError, match="finds no linear map that is not quantised in the decoder"):
            lora(decoder(decoder_folder, quantise="int8"), on="decoder")

    @pytest.mark.parametrize(("rank", "count"), [(8, 5_898_240), (1, 737_280), (21, 15_482_880)])
    def test_count_in_whisper_large(self, tmp_path: Path, rank: int, count: int) -> None:
        """R · L · (8 D + 2 (D + F)), counted on the live modules without any weight."""
        from transformers import WhisperConfig as Shape
        from transformers import WhisperFeatureExtractor

        Shape(
            d_model=1280, encoder_layers=32, encoder_attention_heads=20, encoder_ffn_dim=5120,
            num_mel_bins=128, decoder_layers=1, decoder_attention_heads=20, decoder_ffn_dim=32, vocab_size=64,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        ).save_pretrained(tmp_path)  # fmt: skip
        WhisperFeatureExtractor(feature_size=128).save_pretrained(tmp_path)
        with shapes_only():
            encoder = whisper(str(tmp_path))
            adapter = lora(encoder, moved=False, rank=rank)

        assert sum(matrix.numel() for matrix in adapter.groups()["lora"]) == count
        assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == count
        assert count == rank * 32 * (8 * 1280 + 2 * (1280 + 5120))


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # of peft
@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["q_proj", "k_proj", "v_proj", "o_proj"], []])
def test_count_on_a_decoder_is_that_of_peft(targets: list[str]) -> None:
    """Qwen2.5-7B on the meta device: the same trainable parameters; the frozen ones keep their names."""
    import peft
    from transformers import AutoModelForCausalLM

    from steermoe_core.model.known import LANGUAGE_MODELS
    from steermoe_core.model.weights import pretrained

    name = "Qwen/Qwen2.5-7B-Instruct"
    with shapes_only():
        decoder = CausalLM(CausalLMConfig(weights=name))
        before = {key: tensor.shape for key, tensor in decoder.state_dict().items()}
        adapter = Lora(LoraConfig(on="decoder", target_modules=targets), decoder, build_router)
        bare = pretrained(AutoModelForCausalLM, name, known=LANGUAGE_MODELS)
        every = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        settings = peft.LoraConfig(r=8, lora_alpha=16, target_modules=targets or every)
        theirs, _ = peft.get_peft_model(bare, settings).get_nb_trainable_parameters()

    ours = sum(matrix.numel() for matrix in adapter.groups()["lora"])
    assert ours == theirs == sum(p.numel() for p in decoder.parameters() if p.requires_grad)
    after = {key: tensor.shape for key, tensor in decoder.state_dict().items() if "lora_" not in key}
    assert after == before


class TestDropout:
    """Of what A sees, in training alone."""

    def test_follows_the_model_and_nothing_else_does(self, decoder_folder: str) -> None:
        """The frozen parts stay in eval mode; the dropout in them does what the model does."""
        encoder = dense()
        adapter = lora(encoder, dropout=0.5)
        model = joined(decoder_folder, adapter, encoder=encoder)
        given_batch = batch(encoder)

        model.train()
        assert not any(module.training for module in encoder.modules())
        assert not torch.equal(model(given_batch, 9), model(given_batch, 9))
        model.eval()
        assert not any(module.training for module in model.modules())
        assert torch.equal(model(given_batch, 9), model(given_batch, 9))

    @pytest.mark.parametrize("mode", [True, False])
    def test_is_a_matter_of_the_adapter_alone(self, mode: bool) -> None:  # noqa: FBT001
        """Whatever was switched last: the encoder's mode does not change it."""
        encoder = dense()
        adapter = lora(encoder, dropout=0.5).train(mode)
        features = encoder.features([noise(0.5)])
        for switch in (encoder.train, encoder.eval):
            switch()
            one, two = (encoder(features).values for _ in range(2))
            assert torch.equal(one, two) != mode

        adapter.train(not mode)

        one, two = (encoder(features).values for _ in range(2))
        assert torch.equal(one, two) == mode

    def test_keeps_the_mean(self) -> None:
        """Half of x is left out and the rest counts twice, so the mean of many passes is that of none."""
        encoder = dense()
        adapter = lora(encoder, dropout=0.5)
        adapted, x = adapter.maps[0, "linear"], torch.ones(20_000, 12)
        quiet = adapter.eval() and adapted(x)[0]

        loud = adapter.train() and adapted(x)

        assert not torch.equal(loud[0], loud[1])
        torch.testing.assert_close(loud.mean(0), quiet, rtol=0.05, atol=0.05)

    def test_is_the_same_when_a_layer_is_computed_again(self, folder: str) -> None:
        """Gradients with recomputed layers are those without."""
        gradients = []
        for recompute in (False, True):
            encoder = whisper(folder)
            encoder.recompute = recompute
            adapter = lora(encoder, dropout=0.5).train()
            torch.manual_seed(3)
            loss = encoder(encoder.features([noise(0.5)])).values.square().sum()
            gradients.append(torch.autograd.grad(loss, adapter.groups()["lora"]))

        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)


class TestMerging:
    """The products inside the frozen weights."""

    @pytest.mark.parametrize(
        ("dtype", "close"), [("float32", CLOSE), ("bfloat16", {"rtol": 0.1, "atol": 0.2})]
    )
    def test_gives_the_same_frames(self, folder: str, dtype: str, close: dict[str, float]) -> None:
        """And unmerging gives back the weights bit by bit, however often."""
        encoder = whisper(folder, dtype=dtype)
        adapter = lora(encoder)
        features = encoder.features([noise(0.5), noise(0.9, 1)])
        before, identity = encoder(features).rows(), fingerprint(encoder)

        for _ in range(2):
            adapter.merge()
            adapter.merge()
            merged = encoder(features).rows()
            assert fingerprint(encoder) != identity
            adapter.unmerge()
            adapter.unmerge()
            assert fingerprint(encoder) == identity

        for one, other in zip(before, merged, strict=True):
            torch.testing.assert_close(one, other, **close)
        assert all(torch.equal(a, b) for a, b in zip(before, encoder(features).rows(), strict=True))

    def test_matrices_are_fp32_beside_any_weights(self, folder: str) -> None:
        """Frames keep the encoder's precision."""
        encoder = whisper(folder, dtype="bfloat16")
        adapter = lora(encoder)

        assert {matrix.dtype for matrix in adapter.groups()["lora"]} == {torch.float32}
        assert encoder(encoder.features([noise(0.5)])).values.dtype == torch.bfloat16


class TestIdentity:
    """The frozen weights are recognised with LoRA among them."""

    def test_is_that_of_the_bare_encoder(self, folder: str) -> None:
        """Names, types and numbers of the frozen tensors are hashed, the matrices are not."""
        bare, encoder = whisper(folder), whisper(folder)
        lora(encoder)

        assert fingerprint(encoder) == fingerprint(bare)

    def test_sees_every_frozen_tensor(self, folder: str) -> None:
        """A weight that something writes to is noticed, also one inside an adapted map."""
        encoder = whisper(folder)
        adapter = lora(encoder)
        before = fingerprint(encoder)
        adapter.maps[1, "fc2"].get_base_layer().weight.data[0, 0] += 1.0

        assert fingerprint(encoder) != before
