"""Activations that are computed twice: the same numbers, for less memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from transformers import AutoConfig, AutoModelForCausalLM

from steermoe_core.errors import SetupError
from steermoe_core.model.cache import Unchanging
from steermoe_core.model.generate import generate
from steermoe_core.model.recompute import again, recomputed
from tests.parts import TinyConfig, TinyEncoder, batch, joined, router, steering
from tests.tiny import tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined

#: A prompt that all rows share, so that its keys and values are computed once.
PROMPT = (3, 4, 5, 6, 7, 8)
#: Decoders whose layers are called in different ways; one attends to a window shorter than the prompt.
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "qwen2": {"num_key_value_heads": 2},
    "gemma3_text": {
        "head_dim": 8, "num_key_value_heads": 2, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}  # fmt: skip


@attrs.frozen
class Step:
    """What one forward and backward pass gave, and the bytes that were kept in between."""

    loss: float
    gradients: dict[str, torch.Tensor]
    statistics: list[dict[str, Any]]
    kept: int


def model_of(folder: str, *parts: str, layers: int = 3, **settings: Any) -> Joined:
    """Return a model with an auxiliary loss, some of whose frozen parts recompute."""
    encoder = TinyEncoder(TinyConfig(layers=layers))
    model = joined(folder, adapter=steering(encoder, balance=0.3, **settings), encoder=encoder)
    model.encoder.recompute = "encoder" in parts
    model.decoder.recompute = "decoder" in parts
    return model.train()


def step(model: Joined, given: Batch | None = None) -> Step:
    """Train on a batch without taking the step."""
    given = given or batch(model.encoder, before=(PROMPT,))
    tensors: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        tensors[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(7)
    model.zero_grad()
    model.adapter.watch()
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(given, int(given.answer.lengths.sum()))
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return Step(loss.item(), gradients, model.adapter.statistics(), sum(tensors.values()))


@pytest.mark.parametrize("parts", [("encoder",), ("decoder",), ("encoder", "decoder")])
def test_same_numbers(decoder_folder: str, parts: tuple[str, ...]) -> None:
    """Loss with its auxiliary part, gradients and statistics; a second step has nothing of the first."""
    plain, model = model_of(decoder_folder), model_of(decoder_folder, *parts)

    for _ in range(2):
        expected, found = step(plain), step(model)

        assert found.loss == pytest.approx(expected.loss, rel=1e-6)
        assert found.gradients.keys() == expected.gradients.keys()
        for name, gradient in expected.gradients.items():
            torch.testing.assert_close(found.gradients[name], gradient, rtol=1e-5, atol=1e-7, msg=name)
        assert found.statistics == expected.statistics


def test_auxiliary_loss_has_its_gradient(decoder_folder: str) -> None:
    """The balance of each layer is felt once, whether or not its layer runs twice."""
    model = model_of(decoder_folder, "encoder")
    given = batch(model.encoder)
    model.frames(given.features)
    penalty = model.adapter.penalty()
    penalty.backward()
    found = model.adapter.router.weight.grad.clone()
    assert model.adapter.penalty() is None

    model = model_of(decoder_folder)
    model.frames(given.features)
    model.adapter.penalty().backward()

    torch.testing.assert_close(found, model.adapter.router.weight.grad)
    assert found.abs().sum() > 0


def test_noise_is_drawn_once(decoder_folder: str) -> None:
    """A router that jitters its input sees the same noise when its layer runs again."""
    settings = {"router": router("softmax", jitter=0.5)}

    expected, found = (step(model_of(decoder_folder, *part, **settings)) for part in ((), ("encoder",)))

    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    for name, gradient in expected.gradients.items():
        torch.testing.assert_close(found.gradients[name], gradient, rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_less_is_kept(decoder_folder: str, part: str) -> None:
    """Of deep stacks, much less than half of the bytes wait for the backward pass."""
    few, many = (
        [step(model_of(decoder_folder, *parts, layers=layers)).kept for parts in ((), (part,))]
        for layers in (3, 12)
    )

    assert few[1] < few[0]
    if part == "encoder":  # what nine more layers cost
        assert many[1] - few[1] < 0.3 * (many[0] - few[0])
    else:
        assert few[1] < 0.4 * few[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_any_decoder(family: str, tmp_path: Path) -> None:
    """Layers of other families, windows of attention among them, behind a prefix that is computed once."""
    words = tokenizer()
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model(
        family, **{**shape, **FAMILIES[family]}, vocab_size=len(words), bos_token_id=None, eos_token_id=0
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    plain, again_ = (model_of(str(tmp_path), *parts) for parts in ((), ("decoder",)))

    expected, found = step(plain), step(again_)

    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    for name, gradient in expected.gradients.items():
        torch.testing.assert_close(found.gradients[name], gradient, rtol=1e-5, atol=1e-7, msg=name)
    assert found.kept < expected.kept
    whole = replace(batch(plain.encoder, before=(PROMPT,)), shared=0)
    assert step(plain, whole).loss == pytest.approx(expected.loss, rel=1e-5)


def test_prefix_stays_as_it_is(decoder_folder: str) -> None:
    """A cache for layers that run twice gives them the prefix and forgets what is new."""
    model = model_of(decoder_folder, "decoder")
    prefix = model.decoder.prefix(list(PROMPT))
    cache = model.decoder.new_cache(prefix, 2)
    assert isinstance(cache, Unchanging)
    new = torch.ones(2, *prefix[0][0].shape[1:2], 3, prefix[0][0].shape[3])

    for _ in range(2):
        keys, _ = cache.update(new, new, 0)
        assert keys.shape[2] == len(PROMPT) + 3
        assert cache.get_seq_length() == len(PROMPT)


def test_generation_is_not_concerned(decoder_folder: str) -> None:
    """It extends its cache as ever."""
    plain, model = model_of(decoder_folder), model_of(decoder_folder, "encoder", "decoder")
    given = batch(model.encoder, before=(PROMPT,))

    assert generate(model, given, [9, 9, 9]) == generate(plain, given, [9, 9, 9])


def test_half_precision(decoder_folder: str) -> None:
    """The second time has the first time's precision."""
    models = [model_of(decoder_folder, *parts) for parts in ((), ("encoder", "decoder"))]
    with torch.autocast("cpu", torch.bfloat16):
        losses = [model(batch(model.encoder), 10) for model in models]
    for loss in losses:
        loss.backward()

    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)
    first, second = (dict(model.named_parameters())["adapter.vectors"].grad for model in models)
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)


def test_a_decoder_without_such_layers_says_so(decoder_folder: str) -> None:
    """The key would have no effect."""
    model = model_of(decoder_folder, "decoder")
    model.decoder._recomputable = 0

    with pytest.raises(SetupError, match=r'LlamaForCausalLM .*leave "decoder" out of train\.recompute'):
        step(model)


def test_a_function_knows_that_it_runs_again() -> None:
    """First in the forward pass, again in the backward pass, and never outside."""
    seen: list[bool] = []

    def square(value: torch.Tensor) -> torch.Tensor:
        seen.append(again())
        return value * value

    value = torch.tensor(3.0, requires_grad=True)
    recomputed(square, value).backward()

    assert seen == [False, True]
    assert value.grad == 6.0
    assert not again()
