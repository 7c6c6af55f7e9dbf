"""Greedy answers equal Hugging Face's, row by row, in any batch."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Qwen2Config, Qwen2ForCausalLM

from steermoe_core.model.config import SoftPromptConfig
from steermoe_core.model.generate import Answer, Capacity, Questions, answers, generate
from steermoe_core.model.joined import Joined
from steermoe_core.model.soft_prompt import SoftPrompt
from tests.parts import TinyConfig, TinyEncoder, batch, joined, rows_of, save_random, steering
from tests.tiny import tokenizer
from tests.train.syncs import META, Syncs, on_meta

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.data.padded import Padded
    from steermoe_core.model.adapter import Adapter

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


class TestReplacement:
    """Rows that end make room for waiting ones."""

    LIMITS = (12, 3, 9, 0, 12, 1, 7, 12)

    def asked(self, model: Joined, sizes: Sequence[int], order: str = "audio first") -> Iterator[Questions]:
        """Yield the rows in batches of some sizes."""
        whole = batch(model.encoder, SECONDS, answers=ANSWERS, **ORDERS[order])
        places = iter(range(CLIPS))
        for number, size in enumerate(sizes):
            rows = list(islice(places, size))
            yield Questions(rows_of(whole, *rows, padding=number), [self.LIMITS[row] for row in rows], rows)

    @given(
        st.sampled_from([(1,) * CLIPS, (2, 2, 2, 2), (3, 1, 4), (CLIPS,)]),
        st.builds(Capacity, rows=st.integers(1, CLIPS)) | st.builds(Capacity, tokens=st.integers(1, 200)),
        st.integers(1, 6),
        st.sampled_from(sorted(ORDERS)),
    )
    @settings(deadline=None, max_examples=12)
    def test_no_row_sees_the_others(
        self, model: Joined, sizes: tuple[int, ...], capacity: Capacity, every: int, order: str
    ) -> None:
        """Whoever leaves or joins, however many tokens there are between two looks: the same answers."""
        whole = batch(model.encoder, SECONDS, answers=ANSWERS, **ORDERS[order])
        alone = [generate(model, rows_of(whole, row), [self.LIMITS[row]])[0] for row in range(CLIPS)]

        found = dict(answers(model, self.asked(model, sizes, order), capacity, every))

        assert [found[row] for row in range(CLIPS)] == alone

    @pytest.mark.parametrize("every", [1, 4])
    def test_room_is_used(self, model: Joined, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
        """Never more than two rows together; fewer passes than for one pair after the other."""
        steps: list[int] = []
        positions = model.positions

        def counted(inputs: Padded, *others: Any) -> torch.Tensor:
            if inputs.values.shape[1] == 1:
                steps.append(len(inputs))
            return positions(inputs, *others)

        monkeypatch.setattr(model, "positions", counted)
        found = dict(answers(model, self.asked(model, (1,) * CLIPS), Capacity(rows=2), every))

        needed = [max(0, len(one.ids) - (one.stop == "limit")) for _, one in sorted(found.items())]
        assert max(steps) == 2
        assert len(steps) < sum(map(max, needed[::2], needed[1::2]))
        assert sum(needed) <= sum(steps) <= sum(needed) + (every - 1) * CLIPS

    def test_the_next_batch_is_taken_when_the_last_has_joined(self, model: Joined) -> None:
        """Waiting batches cost no memory."""
        taken: list[int] = []

        def watched() -> Iterator[Questions]:
            for one in self.asked(model, (1,) * CLIPS):
                taken.extend(one.keys)
                yield one

        ahead = [
            len(taken) - done for done, _ in enumerate(answers(model, watched(), Capacity(rows=1)), start=1)
        ]

        assert len(ahead) == CLIPS
        assert max(ahead) == 1


@pytest.mark.parametrize("name", ["soft prompt", "steering"])
def test_rows_are_replaced_under_an_adapter_of_the_decoder(name: str, decoder_folder: str) -> None:
    """Its positions count, and it works on every token of every row."""
    plain = joined(decoder_folder)
    adapter: Adapter
    if name == "steering":
        adapter = steering(plain.decoder, on="decoder")
    else:
        adapter = SoftPrompt(SoftPromptConfig(tokens=3), plain.decoder)
    model = Joined(plain.encoder, plain.adapter, plain.projector, plain.decoder, adapter).eval()
    whole = batch(model.encoder, SECONDS, answers=ANSWERS, **ORDERS["audio last"])
    alone = [generate(model, rows_of(whole, row), [6 + row])[0] for row in range(CLIPS)]
    asked = (
        Questions(rows_of(whole, row, row + 1), [6 + row, 7 + row], [row, row + 1]) for row in (0, 2, 4, 6)
    )

    found = dict(answers(model, asked, Capacity(rows=3), every=2))

    assert [found[row] for row in range(CLIPS)] == alone
    assert alone != generate(joined(decoder_folder), whole, range(6, 6 + CLIPS))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_window_of_attention_is_each_rows_own(attention: str, tmp_path: Path) -> None:
    """A layer that sees 4 positions back sees those of its own row, whatever padding is around them."""
    words = tokenizer()
    config = Qwen2Config(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(words),
        initializer_range=0.5,
        eos_token_id=words.eos_token_id,
        use_sliding_window=True,
        sliding_window=4,
        max_window_layers=1,
    )
    save_random(Qwen2ForCausalLM, config, tmp_path)
    words.save_pretrained(tmp_path)
    model = joined(str(tmp_path), attention=attention)
    assert model.decoder.model.config.layer_types == ["full_attention", "sliding_attention"]
    with torch.no_grad():
        model.projector.map.weight.mul_(4)
    whole = batch(model.encoder, SECONDS, answers=ANSWERS, **ORDERS["a prompt for each"])
    expected = [huggingface(model, rows_of(whole, row), 12) for row in range(CLIPS)]
    asked = (Questions(rows_of(whole, row, row + 1), [12, 12], [row, row + 1]) for row in range(0, CLIPS, 2))

    found = dict(answers(model, asked, Capacity(rows=4), every=3))

    assert [found[row] for row in range(CLIPS)] == expected
    assert len({tuple(answer.ids) for answer in expected}) > 2


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


@pytest.mark.parametrize("order", ORDERS)
def test_the_host_waits_for_tokens_alone(
    decoder_folder: str, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Once when a batch joins, and once in `every` tokens; never to leave the cache or to join it."""
    whole = batch(TinyEncoder(TinyConfig()), SECONDS, answers=ANSWERS, **ORDERS[order])
    model = joined(decoder_folder).to(META)
    asked = [
        Questions(rows_of(whole, *rows).to(META), [limit] * 2, rows)
        for rows, limit in (((0, 1), 13), ((2, 3), 9), ((4, 5), 9))
    ]

    with on_meta(monkeypatch):
        for _ in range(2):  # the first time pays for the prefix, which is computed once
            with Syncs() as counted:
                found = dict(answers(model, asked, Capacity(rows=4), every=4))

    assert [len(found[row].ids) for row in range(6)] == [13, 13, 9, 9, 9, 9]
    # The second batch joins the first, and leaves after 2 looks; the third joins, and needs 2; the first 1.
    assert counted.found == {"copy to the host": 3 + 2 + 2}


def test_keeps_no_graph(model: Joined) -> None:
    """Generation needs no gradients and leaves none."""
    model.zero_grad()
    generate(model, batch(model.encoder), [2, 2, 2])

    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.adapter.penalty() is None
