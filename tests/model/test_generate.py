"""Greedy answers equal Hugging Face's, row by row, in any batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.model.generate import Answer, generate
from tests.parts import batch, joined, rows_of

if TYPE_CHECKING:
    from steermoe_core.model.joined import Joined

CLIPS = 8
SECONDS = [0.3 + 0.23 * number for number in range(CLIPS)]
ANSWERS = [(2,)] * CLIPS
ORDERS = {
    "audio first": {"before": ((),), "after": ((12, 13, 14),)},
    "audio last": {"before": ((12, 13, 14),), "after": ((),)},
    "a prompt for each": {
        "before": [(12,) * (number % 3) for number in range(CLIPS)],
        "after": [(13,) * ((number + 1) % 4) for number in range(CLIPS)],
    },
}


@pytest.fixture(scope="module")
def model(decoder_folder: str) -> Joined:
    """Return a tiny model whose answers differ from clip to clip, and end sooner or later."""
    model = joined(decoder_folder)
    with torch.no_grad():
        model.projector.map.weight.mul_(4)
    return model


def huggingface(model: Joined, alone: object, limit: int) -> Answer:
    """Return the answer of `generate(do_sample=False)` for a batch of one."""
    inputs = torch.cat(
        [
            model.decoder.embed(alone.before.values[0]),
            model.audio(alone.features).values[0],
            model.decoder.embed(alone.after.values[0]),
        ]
    )
    found = model.decoder.model.generate(
        inputs_embeds=inputs[None],
        attention_mask=torch.ones(1, len(inputs), dtype=torch.long),
        do_sample=False,
        max_new_tokens=limit,
        eos_token_id=model.decoder.eos,
        pad_token_id=model.decoder.eos,
    )[0].tolist()
    if model.decoder.eos in found:
        return Answer(found[: found.index(model.decoder.eos)], "eos")
    return Answer(found, "limit")


@pytest.mark.parametrize("order", ORDERS)
def test_equals_huggingface(model: Joined, order: str) -> None:
    """In one batch, every row is what the plain model generates for it alone; both ways to stop occur."""
    whole = batch(model.encoder, SECONDS, answers=ANSWERS, **ORDERS[order])
    expected = [huggingface(model, rows_of(whole, number), 12) for number in range(CLIPS)]

    assert generate(model, whole, [12] * CLIPS) == expected
    assert len({tuple(answer.ids) for answer in expected}) > 2


@given(st.permutations(range(CLIPS)), st.sampled_from([1, 3, CLIPS]), st.sampled_from(sorted(ORDERS)))
@settings(deadline=None, max_examples=12)
def test_any_batch_gives_the_same_answers(model: Joined, places: list[int], size: int, order: str) -> None:
    """Batch size and order of the rows do not change a single id, whatever each row's limit is."""
    whole = batch(model.encoder, SECONDS, answers=ANSWERS, **ORDERS[order])
    limits = [(5 * number) % 12 for number in range(CLIPS)]
    alone = [generate(model, rows_of(whole, number), [limits[number]])[0] for number in range(CLIPS)]

    found = {}
    for start in range(0, CLIPS, size):
        chosen = places[start : start + size]
        answers = generate(
            model, rows_of(whole, *chosen, padding=start % 3), [limits[place] for place in chosen]
        )
        found.update(zip(chosen, answers, strict=True))

    assert [found[number] for number in range(CLIPS)] == alone


def test_each_row_has_its_own_limit(model: Joined) -> None:
    """A limit cuts what a larger one gives, and 0 says nothing."""
    whole = batch(model.encoder, SECONDS, answers=ANSWERS)
    free = generate(model, whole, [20] * CLIPS)

    limits = list(range(CLIPS))
    cut = generate(model, whole, limits)

    for answer, limit, longest in zip(cut, limits, free, strict=True):
        assert answer.ids == longest.ids[:limit]
        assert answer == longest.cut(limit)
        assert answer.stop == ("eos" if len(longest.ids) < limit else "limit")
    assert cut[0] == Answer([], "limit")


def test_an_answer_stops_at_the_end_token(decoder_folder: str) -> None:
    """The end token is not part of the answer; a model that says nothing else answers with nothing."""
    model = joined(decoder_folder)
    model.decoder.logits = lambda hidden: torch.eye(24)[0].expand(*hidden.shape[:-1], -1)

    answers = generate(model, batch(model.encoder), [5, 5, 0])

    assert answers == [Answer([], "eos"), Answer([], "eos"), Answer([], "limit")]


def test_keeps_no_graph(model: Joined) -> None:
    """Generation needs no gradients and leaves none."""
    model.zero_grad()
    generate(model, batch(model.encoder), [2, 2, 2])

    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.adapter.penalty() is None
