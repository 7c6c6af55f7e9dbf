"""Clips in one row give the numbers that they have in padded rows, in the towers and in what is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from steermoe_core.data.padded import Padded
from steermoe_core.errors import SetupError
from steermoe_core.model import packing as packing_module
from steermoe_core.model.adapter import Adapter, combined
from steermoe_core.model.config import SoftPromptConfig, SteeringConfig
from steermoe_core.model.encoder import untouched
from steermoe_core.model.generate import generate
from steermoe_core.model.joined import Joined
from steermoe_core.model.packing import Packing
from steermoe_core.model.soft_prompt import SoftPrompt
from steermoe_core.model.steering import Steering
from steermoe_lora.adapter import Lora
from steermoe_lora.config import LoraConfig
from tests.parts import batch, build_router, joined, router
from tests.tiny import tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.layout import Batch
    from steermoe_core.model.decoder import CausalLM

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
#: Decoders of other families; one attends to windows that are shorter than prompt and clips.
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "qwen2": {"num_key_value_heads": 2},
    "gemma3_text": {
        "head_dim": 8, "num_key_value_heads": 2, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "mistral": {"num_key_value_heads": 2, "sliding_window": 5},
}  # fmt: skip
#: Decoders whose layers carry more than attention from position to position, or have attention of their own.
APART: dict[str, dict[str, Any]] = {
    "falcon_h1": {
        "num_key_value_heads": 2,
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 4,
        "head_dim": 8,
    },
    "lfm2": {"num_key_value_heads": 2, "layer_types": ["conv", "full_attention"]},
    "falcon": {},
}
#: A prompt of all rows, longer than a window.
PROMPT = (3, 4, 5, 6, 7, 8)
ORDERS: dict[str, dict[str, Any]] = {
    "a shared prompt": {"before": (PROMPT,), "after": ((12, 13),)},
    "a prompt for each": {"before": ((12,), (13, 14, 15), ()), "after": ((2, 3), (), (16,))},
    "audio first": {},
}


def saved(family: str, settings: dict[str, Any], folder: Path) -> str:
    """Write a random decoder of a family."""
    words = tokenizer()
    config = AutoConfig.for_model(
        family, **{**SHAPE, **settings}, vocab_size=len(words), bos_token_id=None, eos_token_id=0
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)


def steered(language_model: CausalLM) -> Adapter:
    """Return steering of the decoder with a loss of its own."""
    settings = {"experts": 3, "start": 1.0, "scale": 0.5, "balance": 0.3, "router": router()}
    return Steering(SteeringConfig(on="decoder", **settings), language_model, build_router)


def low_rank(language_model: CausalLM) -> Adapter:
    """Return LoRA in the decoder whose products are not zero."""
    adapter = Lora(LoraConfig(on="decoder", rank=2), language_model)
    for parameter in adapter.groups()["lora"]:
        torch.nn.init.normal_(parameter, std=0.1)
    return adapter


ADAPTERS: dict[str, Any] = {
    "none": lambda _: None,
    "steering": steered,
    "LoRA": low_rank,
    "soft prompt": lambda language_model: SoftPrompt(SoftPromptConfig(tokens=3), language_model),
    "all": lambda language_model: combined(
        [
            steered(language_model),
            low_rank(language_model),
            SoftPrompt(SoftPromptConfig(tokens=3), language_model),
        ]
    ),
}


def model_of(folder: str, adapter: str = "none", *, packing: bool, recompute: bool = False) -> Joined:
    """Return a model with an adapter on the decoder."""
    plain = joined(folder)
    torch.manual_seed(5)
    on_decoder = ADAPTERS[adapter](plain.decoder)
    model = Joined(plain.encoder, plain.adapter, plain.projector, plain.decoder, on_decoder)
    model.decoder.packing, model.decoder.recompute = packing, recompute
    return model.train()


def step(model: Joined, given: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Return loss, gradients and the decoder's statistics of a step."""
    model.adapters.watch()
    loss = model(given, int(given.answer.lengths.sum()))
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.detach(), gradients, model.adapters.statistics()


def assert_same(expected: Any, found: Any) -> None:
    """Compare two steps: losses and gradients within 1e-5, the latter by the size of the largest."""
    torch.testing.assert_close(found[0], expected[0], **CLOSE)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        largest = gradient.abs().max().item()
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-5, atol=1e-5 * max(largest, 1), msg=name)
    for one, other in zip(expected[2], found[2], strict=True):
        assert one["load"] == pytest.approx(other["load"], abs=1e-5)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_step_is_the_padded_one(
    decoder_folder: str,
    adapter: str,
    order: str,
    recompute: bool,  # noqa: FBT001
) -> None:
    """Loss, gradients of all that is trained and statistics; with prefixes, adapters and recomputation."""
    plain = model_of(decoder_folder, adapter, packing=False)
    packed = model_of(decoder_folder, adapter, packing=True, recompute=recompute)
    given = batch(plain.encoder, **ORDERS[order])

    assert_same(step(plain, given), step(packed, given))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_any_family(family: str, order: str, tmp_path: Path) -> None:
    """Learned positions, grouped heads, and windows of attention that end inside clip or prompt."""
    folder = saved(family, FAMILIES[family], tmp_path)
    plain, packed = (model_of(folder, packing=packing) for packing in (False, True))
    given = batch(plain.encoder, **ORDERS[order])

    assert_same(step(plain, given), step(packed, given))


@pytest.mark.parametrize("family", APART)
def test_a_decoder_that_mixes_clips_is_refused(family: str, tmp_path: Path) -> None:
    """A state or a convolution that runs through the row, or attention that is not transformers' own."""
    model = model_of(saved(family, APART[family], tmp_path), packing=True)

    with pytest.raises(SetupError, match=r"train\.packing"):
        step(model, batch(model.encoder))


def test_the_decoder_computes_no_padding(decoder_folder: str) -> None:
    """Its linear maps see ΣS positions, not B·S."""
    flops = {}
    for packing in (False, True):
        model = model_of(decoder_folder, packing=packing)
        given = batch(model.encoder, seconds=(0.3, 4.0, 0.3))
        inputs, prefix = model.inputs(given, model.audio(given.features), answered=True)
        with FlopCounterMode(display=False) as counter:
            model.hidden(inputs, prefix)
        flops[packing] = counter.get_total_flops()

    real, padded = int(inputs.lengths.sum()), inputs.values.shape[:2].numel()
    assert real < 0.6 * padded
    assert flops[True] / flops[False] == pytest.approx(real / padded, rel=0.01)


def test_generation_is_not_concerned(decoder_folder: str) -> None:
    """It extends rows of its own, with the attention that the decoder was loaded with."""
    plain, packed = (model_of(decoder_folder, packing=packing) for packing in (False, True))
    given = batch(plain.encoder, **ORDERS["a shared prompt"])
    step(packed, given)

    assert packed.decoder.model.config._attn_implementation == "sdpa"
    assert generate(packed, given, [9, 9, 9]) == generate(plain, given, [9, 9, 9])


def by_hand(query: Any, key: Any, value: Any, starts: Any, key_starts: Any, *sizes: int, **how: Any) -> Any:
    """Compute what the kernel for GPUs computes: clips between bounds, causal from their common end."""
    assert how["enable_gqa"] == (query.shape[1] != key.shape[1])
    assert sizes == (int(starts.diff().max()), int(key_starts.diff().max()))
    found = []
    for number in range(len(starts) - 1):
        q = query[starts[number] : starts[number + 1]].transpose(0, 1)
        k, v = (t[key_starts[number] : key_starts[number + 1]].transpose(0, 1) for t in (key, value))
        back = torch.arange(q.shape[1])[:, None] + k.shape[1] - q.shape[1] - torch.arange(k.shape[1])
        left, right = how["window_size"]
        seen = ((back <= left) | (left < 0)) & ((-back <= right) | (right < 0))
        one = F.scaled_dot_product_attention(q, k, v, seen, scale=how["scale"], enable_gqa=True)
        found.append(one.transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("family", ["qwen2", "gemma3_text"])
@pytest.mark.parametrize("order", ORDERS)
def test_the_kernel_of_a_gpu_gets_the_same_clips(
    family: str, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounds, windows and the prefix before each clip, with a stand-in for the kernel."""
    folder = saved(family, FAMILIES[family], tmp_path)
    plain, packed = (model_of(folder, packing=packing) for packing in (False, True))
    given = batch(plain.encoder, **ORDERS[order])
    expected = step(plain, given)
    monkeypatch.setattr(packing_module, "_kernel", lambda *_: by_hand)

    assert_same(expected, step(packed, given))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel needs a GPU")
@pytest.mark.parametrize("window", [(-1, 0), (3, 0), (-1, -1)])
def test_the_kernel_computes_what_its_stand_in_does(window: tuple[int, int]) -> None:
    """In half precision, with more keys than queries for each clip."""
    from torch.nn.attention.varlen import varlen_attn

    lengths = torch.tensor([0, 5, 6, 13], dtype=torch.int32, device="cuda")
    behind = lengths + 4 * torch.arange(4, dtype=torch.int32, device="cuda")
    query, key, value = (
        torch.randn(rows, heads, 64, dtype=torch.bfloat16, device="cuda")
        for rows, heads in ((13, 4), (25, 2), (25, 2))
    )
    sizes, how = (7, 11), {"scale": 0.1, "window_size": window, "enable_gqa": True}
    on_cpu = (tensor.cpu() for tensor in (query, key, value, lengths, behind))

    found = varlen_attn(query, key, value, lengths, behind, *sizes, **how)

    torch.testing.assert_close(found.cpu(), by_hand(*on_cpu, *sizes, **how), rtol=2e-2, atol=2e-2)


def test_a_row_and_back() -> None:
    """Clips lie one after the other; what comes back has zeros as padding."""
    clips = Padded(torch.arange(1.0, 13).view(3, 4, 1), torch.tensor([4, 1, 3]))
    packing = Packing.of(clips)

    row = packing.row(clips)

    assert row.values.flatten().tolist() == [1, 2, 3, 4, 5, 9, 10, 11]
    assert row.lengths.tolist() == [8]
    assert packing.steps.tolist() == [[0, 1, 2, 3, 0, 0, 1, 2]]
    back = packing.clips(row)
    assert back.values.flatten().tolist() == [1, 2, 3, 4, 5, 0, 0, 0, 9, 10, 11, 0]
    assert back.lengths.tolist() == [4, 1, 3]


def test_taps_see_clips() -> None:
    """A tap gets the padded clips, whatever lies in a row; no tap stays none."""
    clips = Padded(torch.ones(2, 3, 1), torch.tensor([1, 3]))
    packing = Packing.of(clips)
    seen: list[Any] = []

    def tap(layer: int, frames: Padded) -> Padded:
        seen.append((layer, frames.lengths.tolist()))
        return Padded(frames.values * torch.tensor([2.0, 3.0])[:, None, None], frames.lengths)

    found = packing.tap(tap)(7, packing.row(clips))

    assert seen == [(7, [1, 3])]
    assert found.values.flatten().tolist() == [2, 3, 3, 3]
    assert packing.tap(untouched) is untouched
