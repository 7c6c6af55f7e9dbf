"""The loss of the whole model equals the plain language model's, and belongs to each example alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.data.padded import Padded, Waveforms
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.model.config import LinearConfig, SoftCtcConfig
from steermoe_core.model.decoder import CausalLM
from steermoe_core.model.projectors import LinearProjector
from steermoe_core.model.soft_ctc import SoftCtcProjector
from tests.parts import TinyConfig, TinyEncoder, batch, decoder, joined, noise, rows_of, steering

if TYPE_CHECKING:
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
#: Where the text stands: before and after the audio.
ORDERS = {
    "audio first": {"before": ((),), "after": ((12, 13, 14),)},
    "audio last": {"before": ((12, 13, 14),), "after": ((),)},
    "audio in the middle": {"before": ((12, 13),), "after": ((14, 15, 16),)},
    "audio alone": {"before": ((),), "after": ((),)},
    "a prompt for each": {"before": ((12,), (13, 14, 15), ()), "after": ((2, 3), (), (16,))},
}


@pytest.fixture(scope="module")
def model(decoder_folder: str) -> Joined:
    """Return the tiny model."""
    return joined(decoder_folder)


def plain_losses(model: Joined, given_batch: Batch) -> list[torch.Tensor]:
    """Return each row's losses by the plain Hugging Face model: labels are -100 outside the answer."""
    losses = []
    audio = model.audio(given_batch.features)
    parts = (given_batch.before, audio, given_batch.after, given_batch.answer)
    for before, tokens, after, answer in zip(*(part.rows() for part in parts), strict=True):
        embed = model.decoder.model.get_input_embeddings()
        embeds = torch.cat([embed(before), tokens, embed(after), embed(answer)])
        text = torch.full((len(embeds) - len(answer),), -100)
        output = model.decoder.model(inputs_embeds=embeds[None])
        logits, labels = output.logits[0, :-1], torch.cat([text, answer])[1:]
        losses.append(torch.nn.functional.cross_entropy(logits, labels, reduction="none")[labels != -100])
    return losses


@pytest.mark.parametrize("order", ORDERS)
def test_loss_is_the_plain_models(model: Joined, order: str) -> None:
    """Losses at answer positions equal the cross-entropy of all logits, each row computed alone."""
    given_batch = batch(model.encoder, **ORDERS[order])

    found = model.answer_losses(given_batch, model.audio(given_batch.features))

    torch.testing.assert_close(found, torch.cat(plain_losses(model, given_batch)), **CLOSE)
    assert len(found) == given_batch.answer.lengths.sum()


class OnDevice(TinyEncoder):
    """The tiny encoder, which cuts its windows where it computes."""

    def features_of(self, waveforms: Padded) -> Padded:
        return self.features([row.numpy() for row in waveforms.rows()])


def test_features_may_be_computed_by_the_model(decoder_folder: str) -> None:
    """From waveforms in place of features: in fp32, also where the rest is not."""
    model = joined(decoder_folder, encoder=OnDevice(TinyConfig()))
    waves = [noise(1.0, 1), noise(0.3, 2)]

    found = model.frames(Waveforms.of(waves))

    torch.testing.assert_close(found.values, model.frames(model.encoder.features(waves)).values)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.frames(Waveforms.of(waves)).values.isfinite().all()


def test_the_loss_is_computed_in_parts(model: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few logits each, where there are many: the same losses and gradients, and never more at a time."""
    given_batch, trained = batch(model.encoder), [p for p in model.parameters() if p.requires_grad]
    tokens, width = int(given_batch.answer.lengths.sum()), len(model.decoder.embeddings)
    whole = model.answer_losses(given_batch, model.audio(given_batch.features))
    gradients = torch.autograd.grad(whole.sum(), trained)
    sizes: list[int] = []
    head = model.decoder.logits
    monkeypatch.setattr(
        model.decoder, "logits", lambda hidden: (sizes.append(len(hidden)), head(hidden))[1], raising=False
    )
    monkeypatch.setattr(model, "most_logits", 2 * width + 1)

    parts = model.answer_losses(given_batch, model.audio(given_batch.features))
    part_gradients = torch.autograd.grad(parts.sum(), trained)

    assert max(sizes) == 2
    assert sum(sizes) == 2 * tokens  # again in the backward pass
    torch.testing.assert_close(parts, whole, **CLOSE)
    for one, other in zip(part_gradients, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_loss_is_the_plain_models_own(model: Joined) -> None:
    """The mean loss is what the Hugging Face model returns for `labels`."""
    given_batch = rows_of(batch(model.encoder), 1)
    inputs, _ = model.inputs(given_batch, model.audio(given_batch.features), answered=True)
    answer = given_batch.answer.values[0]
    embeds = torch.cat([inputs.values[0], model.decoder.embed(answer[-1:])])
    labels = torch.cat([torch.full((len(embeds) - len(answer),), -100), answer])

    expected = model.decoder.model(inputs_embeds=embeds[None], labels=labels[None]).loss

    torch.testing.assert_close(model(given_batch, len(answer)), expected, **CLOSE)


@pytest.mark.parametrize("order", ["audio last", "audio in the middle"])
def test_prefix_cache_is_the_prefix_as_tokens(
    model: Joined, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses and gradients are those without a cache; the prefix is computed once for all batches."""
    given_batch = batch(model.encoder, **ORDERS[order])
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    _, prefix = model.inputs(given_batch, model.audio(given_batch.features), answered=True)
    cached = model(given_batch, 7)
    cached_gradients = torch.autograd.grad(cached, trained)
    monkeypatch.setattr(type(given_batch), "shared_before", lambda _: [])

    plain = model(given_batch, 7)
    gradients = torch.autograd.grad(plain, trained)

    shared = given_batch.before.values.shape[1] - 1
    assert prefix[0][0].shape[2] == shared
    assert not prefix[0][0].requires_grad
    assert model.decoder.prefix(given_batch.before.rows()[0][:-1].tolist()) is prefix
    torch.testing.assert_close(cached, plain, **CLOSE)
    for one, two in zip(cached_gradients, gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@given(st.permutations([0, 1, 2]), st.integers(1, 3), st.integers(0, 4), st.sampled_from(sorted(ORDERS)))
@settings(deadline=None, max_examples=20)
def test_an_example_does_not_depend_on_its_batch(
    model: Joined, places: list[int], count: int, padding: int, order: str
) -> None:
    """Batch-mates, order and padding leave the loss of every example as it is."""
    whole = batch(model.encoder, **ORDERS[order])
    alone = [
        model.answer_losses(one, model.audio(one.features)) for one in (rows_of(whole, n) for n in range(3))
    ]
    some = rows_of(whole, *places[:count], padding=padding)

    losses = model.answer_losses(some, model.audio(some.features))

    torch.testing.assert_close(losses, torch.cat([alone[place] for place in places[:count]]), **CLOSE)


def test_accumulation_is_a_larger_batch(model: Joined) -> None:
    """Losses and gradients of the parts of a step sum to those of the whole: tokens count, not batches."""
    whole = batch(model.encoder)
    tokens = int(whole.answer.lengths.sum())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss = model(whole, tokens)
    gradients = torch.autograd.grad(loss, trained)

    parts = [model(rows_of(whole, 0), tokens), model(rows_of(whole, 1, 2), tokens)]
    part_gradients = torch.autograd.grad(parts[0] + parts[1], trained)

    torch.testing.assert_close(parts[0] + parts[1], loss, **CLOSE)
    for one, two in zip(gradients, part_gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_penalty_counts_by_its_share_of_the_step(decoder_folder: str) -> None:
    """The adapter's own loss is a mean: a batch with half of the step's tokens adds half of it."""
    encoder = TinyEncoder(TinyConfig())
    plain = joined(decoder_folder, steering(encoder), encoder=encoder)
    balanced = joined(decoder_folder, steering(encoder, balance=0.5), encoder=encoder)
    given_batch = batch(encoder)
    tokens = int(given_batch.answer.lengths.sum())

    added = [balanced(given_batch, t) - plain(given_batch, t) for t in (tokens, 2 * tokens)]

    balanced.frames(given_batch.features)
    torch.testing.assert_close(added[0], balanced.adapter.penalty(), **CLOSE)
    torch.testing.assert_close(added[1], added[0] / 2, **CLOSE)


def test_losses_by_name_are_what_is_added(decoder_folder: str) -> None:
    """Of adapter and projector, with their weights; the rest is the cross-entropy of the answers."""
    encoder, language_model = TinyEncoder(TinyConfig()), decoder(decoder_folder)
    projector = SoftCtcProjector(SoftCtcConfig(weight=0.5, vocabulary="all"), encoder.width, language_model)
    model = joined(decoder_folder, steering(encoder, balance=0.5), projector, encoder)
    given_batch, tokens = batch(encoder), 20

    loss = model(given_batch, tokens)

    frames = model.frames(given_batch.features)
    spoken = Padded(given_batch.answer.values, given_batch.answer.lengths - 1)
    answers = model.answer_losses(given_batch, projector(frames)[0]).sum()
    share = int(given_batch.answer.lengths.sum()) / tokens
    expected = {
        "ctc": 0.5 * projector.loss(frames, spoken) / tokens,
        "balance": model.adapter.penalty() * share,
    }
    assert set(model.losses) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(model.losses[name], value.detach(), **CLOSE)
    torch.testing.assert_close(loss, answers / tokens + sum(expected.values()), **CLOSE)
    assert not any(value.requires_grad for value in model.losses.values())


def test_alone_the_projectors_loss_counts_in_full(decoder_folder: str) -> None:
    """Without the language model it is the whole loss, whatever its weight."""
    encoder, language_model = TinyEncoder(TinyConfig()), decoder(decoder_folder)
    projector = SoftCtcProjector(SoftCtcConfig(weight=0.5, vocabulary="all"), encoder.width, language_model)
    model = joined(decoder_folder, projector=projector, encoder=encoder)

    loss = model(batch(encoder), 20, language_model=False)

    assert model.losses == {"ctc": loss.detach()}


class Regretful(LinearProjector):
    """A linear projector with a loss that is called as the adapter's."""

    def losses(self) -> dict[str, torch.Tensor]:
        """Return the size of the map."""
        return {"balance": self.map.weight.square().mean()}


def test_losses_of_one_name_add_up(decoder_folder: str) -> None:
    """Those of the adapter and the projector are one number then."""
    encoder, language_model = TinyEncoder(TinyConfig()), decoder(decoder_folder)
    projector = Regretful(LinearConfig(), encoder.width, language_model)
    model = joined(decoder_folder, steering(encoder, balance=0.5), projector, encoder)
    given_batch = batch(encoder)
    model(given_batch, int(given_batch.answer.lengths.sum()))

    model.frames(given_batch.features)
    expected = model.adapter.penalty() + projector.map.weight.square().mean()
    torch.testing.assert_close(model.losses["balance"], expected.detach(), **CLOSE)


def test_without_audio_only_the_text_is_left(model: Joined) -> None:
    """The control has no audio position at all: its losses are those of the text alone, whatever the clip."""
    given_batch = batch(model.encoder, answers=((2, 3),) * 3)

    losses = model.answer_losses(given_batch, model.without_audio(given_batch))

    ids = torch.tensor([[12, 13, 14, 2, 3, 0]])
    logits = model.decoder.model(input_ids=ids).logits[0, 2:5]
    expected = torch.nn.functional.cross_entropy(logits, ids[0, 3:], reduction="none")
    torch.testing.assert_close(losses.view(3, 3), expected.expand(3, 3), **CLOSE)


def test_first_step_reaches_every_trained_tensor(model: Joined) -> None:
    """Each gets a finite gradient that is not zero; nothing frozen gets one."""
    model.zero_grad()
    model(batch(model.encoder), 10).backward()

    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name
        else:
            assert parameter.grad is None, name


def test_text_only_logits_do_not_see_the_adapter(decoder_folder: str) -> None:
    """The decoder inside the model answers text exactly as the decoder outside it."""
    inside, outside = joined(decoder_folder).decoder, joined(decoder_folder, NoAdapter(None)).decoder
    ids = torch.tensor([[12, 13, 14, 2]])

    assert isinstance(inside, CausalLM)
    assert torch.equal(inside.model(input_ids=ids).logits, outside.model(input_ids=ids).logits)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_frozen_parts_may_have_another_precision(decoder_folder: str, precision: str) -> None:
    """With both frozen parts in bf16 the loss is near the fp32 one; what is trained stays fp32."""
    encoder = TinyEncoder(TinyConfig()).to(getattr(torch, precision))
    model = joined(decoder_folder, steering(encoder), encoder=encoder, dtype=precision)
    reference = joined(decoder_folder)
    given_batch = batch(model.encoder)

    loss = model(given_batch, 10)
    loss.backward()

    torch.testing.assert_close(loss, reference(given_batch, 10), rtol=0.1, atol=0.1)
    assert all(p.grad.dtype == p.dtype == torch.float32 for p in model.parameters() if p.requires_grad)


def test_autocast_does_not_leak_into_the_prefix(decoder_folder: str) -> None:
    """A prefix that was computed under bf16 autocast is not used in fp32 afterwards."""
    fresh, used = joined(decoder_folder), joined(decoder_folder)
    given_batch = batch(fresh.encoder, **ORDERS["audio last"])
    with torch.autocast("cpu", torch.bfloat16):
        assert used(given_batch, 10).isfinite()

    assert torch.equal(used(given_batch, 10), fresh(given_batch, 10))


def test_rows_that_say_nothing_still_predict(model: Joined) -> None:
    """A row without audio and text predicts its answer from the end token."""
    given_batch = batch(model.encoder, after=((), (12,), ()))

    losses = model.answer_losses(given_batch, model.without_audio(given_batch))

    logits = model.decoder.model(input_ids=torch.tensor([[0, 2, 3]])).logits[0]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([2, 3, 0]), reduction="none")
    torch.testing.assert_close(losses[:3], expected, **CLOSE)


def test_audio_tokens_stand_between_before_and_after(model: Joined) -> None:
    """The inputs are [ before | audio | after | answer without EOS ], padded on the right."""
    given_batch = batch(model.encoder, before=((12, 13),), after=((14, 15),))
    audio = model.audio(given_batch.features)

    inputs, prefix = model.inputs(given_batch, audio, answered=True)

    assert prefix[0][0].shape[2] == 1
    table = model.decoder.embeddings
    for number, row in enumerate(inputs.rows()):
        answer = given_batch.answer.rows()[number][:-1]
        expected = torch.cat([table[[13]], audio.rows()[number], table[[14, 15]], table[answer]])
        torch.testing.assert_close(row, expected)
    assert isinstance(inputs, Padded)
