"""Cost of evaluation: clips together, one after the other, and beside transformers' `generate`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.model.generate import Answer
from tests.benchmarks.figure import Figure, timed
from tests.benchmarks.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined

#: Generating clips together is at least so many times faster.
THROUGHPUT = 1.5
#: Clips that both generators work on together.
TOGETHER = 8


def throughput(*, quick: bool) -> Iterator[Figure]:
    """Yield how many times faster clips together are than single clips; the texts are the same."""
    lab = Lab("projector.start=ridge")
    examples = lab.builder.eval_examples()["human"][: 12 if quick else 48]
    size = lab.experiment.evaluate.clips
    texts: dict[int, list[str]] = {}
    seconds: dict[int, list[float]] = {size: [], 1: []}
    for _ in range(1 if quick else 2):
        for number, found in seconds.items():
            texts[number], spent = timed(_texts, lab, examples, number)
            found.append(spent)
    assert texts[size] == texts[1]
    assert any(texts[1])
    audio = sum(example.seconds for example in examples)
    batched, single = min(seconds[size]), min(seconds[1])
    yield Figure(
        name=f"evaluation, {size} clips together / single clips",
        value=single / batched,
        bound=THROUGHPUT,
        at_least=True,
        detail=f"{audio / batched:.1f} and {audio / single:.1f} s of audio a second, same texts",
    )
    yield from _beside_transformers(lab, examples)


def _beside_transformers(lab: Lab, examples: Sequence[Example]) -> Iterator[Figure]:
    """Yield what transformers' `generate` costs for the same texts, as a multiple of the engine's cost.

    Both have the same number of clips together; `generate` takes batches in the order of the split, or sorted
    by length.
    """
    with _counted(lab.model) as engine:
        texts, seconds = timed(_texts, lab, examples, TOGETHER)
    ordered = sorted(examples, key=lambda example: -example.seconds)
    for name, clips in (("in the split's order", examples), ("sorted by length", ordered)):
        with _counted(lab.model) as plain:
            found, spent = timed(_plain_texts, lab, clips)
        assert [found[example.id] for example in examples] == texts
        for what, one, other in (
            ("passes of the decoder", plain.passes, engine.passes),
            ("row-steps", plain.rows, engine.rows),
            ("CPU seconds", spent, seconds),
        ):
            yield Figure(
                name=f"transformers' generate {name} / engine, {what}",
                value=one / other,
                detail=f"{one:.4g} and {other:.4g}, {TOGETHER} clips together, same texts",
            )


@attrs.define
class Work:
    """What a decoder did while answers grew.

    :param passes: forward passes for one more token of each row.
    :param rows: rows of these passes.
    """

    passes: int = 0
    rows: int = 0


@contextmanager
def _counted(model: Joined) -> Iterator[Work]:
    work = Work()

    def count(_: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = named.get("inputs_embeds")
        given = named.get("input_ids") if given is None else given
        if given.shape[1] == 1:
            work.passes += 1
            work.rows += len(given)

    hook = model.decoder.model.get_decoder().register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield work
    finally:
        hook.remove()


def _texts(lab: Lab, examples: Sequence[Example], size: int) -> list[str]:
    config = lab.experiment.evaluate.together(size)
    evaluator = Evaluator(model=lab.model, collator=lab.collator, config=config, metrics=[], seed=0)
    return [prediction.hypothesis for prediction in evaluator.evaluate(examples)[0][""]]


@torch.no_grad()
def _plain_texts(lab: Lab, examples: Sequence[Example]) -> dict[str, str]:
    """Return the texts of `generate`, called with one batch after the other."""
    model, found = lab.model, {}
    evaluator = Evaluator(lab.model, lab.collator, lab.experiment.evaluate, metrics=[], seed=0)
    for start in range(0, len(examples), TOGETHER):
        chosen = examples[start : start + TOGETHER]
        batch = lab.collator.collate(chosen, answered=False)
        # Every row whole: transformers knows no shared prefix. Padded on the left, as it wants it.
        model.prefixed, shared = False, model.prefixed
        inputs, _ = model.inputs(batch, model.audio(batch.features), answered=False)
        model.prefixed = shared
        rows = [row.flip(0) for row in inputs.rows()]
        embeds = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).flip(1)
        limits = [evaluator.limit(example.seconds) for example in chosen]
        tokens = model.decoder.model.generate(
            inputs_embeds=embeds,
            attention_mask=inputs.mask.flip(1).long(),
            do_sample=False,
            max_new_tokens=max(limits),
            eos_token_id=sorted({*batch.ends, model.decoder.eos}),
            pad_token_id=model.decoder.eos,
        )
        ends = {*batch.ends, model.decoder.eos}
        for example, row, limit in zip(chosen, tokens.tolist(), limits, strict=True):
            end = next((place for place, token in enumerate(row) if token in ends), len(row))
            found[example.id] = lab.collator.hypothesis(Answer(row[:end], "eos").cut(limit).ids)
    return found
