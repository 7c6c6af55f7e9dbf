"""Cost of evaluation: clips together, one after the other, and beside transformers' `generate`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs
import torch

from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.model.generate import Answer
from steermoe_core.model.joined import Joined
from steermoe_core.use.transcriber import load
from tests.benchmarks.figure import Figure, timed
from tests.benchmarks.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.example import Example
    from steermoe_core.use.transcriber import Transcriber

#: Generating clips together is at least so many times faster.
THROUGHPUT = 1.5
#: For the same texts, transformers' `generate` in the split's order computes at least so many times as many
#: tokens.
ROW_STEPS = 2.0
#: A row for each proposal costs at least so many times as much as a tree; few clips beside other work are
#: measured less exactly.
TREE, QUICK_TREE = 1.7, 1.3
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
    yield from _beside_transformers(examples, quick=quick)
    yield _rescoring(examples, QUICK_TREE if quick else TREE)


def _rescoring(examples: Sequence[Example], bound: float) -> Figure:
    """Return what proposals cost that are read in a row each, as a multiple of the cost as a tree."""
    model = load("pocket/asr", device="cpu")
    texts, tree = timed(_texts, model, examples, TOGETHER, 12)
    with patch.object(Joined, "branching", new=False):
        found, rows = timed(_texts, model, examples, TOGETHER, 12)
    assert found == texts
    return Figure(
        name="rescoring, a row for each proposal / one tree, CPU seconds",
        value=rows / tree,
        bound=bound,
        at_least=True,
        detail=f"{rows:.4g} and {tree:.4g}, encoder and CTC included, same texts",
    )


def _beside_transformers(examples: Sequence[Example], *, quick: bool) -> Iterator[Figure]:
    """Yield what transformers' `generate` costs for the same texts, as a multiple of the engine's cost.

    A trained model, whose answers end by themselves, without rescoring. Both work on the same number of
    clips together; `generate` takes batches in the order of the split, or sorted by length.
    """
    model = load("pocket/asr", device="cpu")
    with _counted(model) as engine:
        texts, seconds = timed(_texts, model, examples, TOGETHER)
    ordered = sorted(examples, key=lambda example: -example.seconds)
    orders = [("in the split's order", examples, None if quick else ROW_STEPS)]
    if not quick:
        orders.append(("sorted by length", ordered, None))
    for name, clips, bound in orders:
        with _counted(model) as plain:
            found, spent = timed(_plain_texts, model, clips)
        assert [found[example.id] for example in examples] == texts
        for what, one, other, least in (
            ("row-steps of the decoder", plain.rows, engine.rows, bound),
            ("passes", plain.passes, engine.passes, None),
            ("CPU seconds", spent, seconds, None),
        ):
            yield Figure(
                name=f"transformers' generate {name} / engine, {what}",
                value=one / other,
                bound=least,
                at_least=True,
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
def _counted(model: Transcriber) -> Iterator[Work]:
    work = Work()

    def count(_: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = named.get("inputs_embeds")
        given = named.get("input_ids") if given is None else given
        if given.shape[1] == 1:
            work.passes += 1
            work.rows += len(given)

    hook = model.model.decoder.model.get_decoder().register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield work
    finally:
        hook.remove()


def _texts(lab: Lab | Transcriber, examples: Sequence[Example], size: int, nbest: int = 0) -> list[str]:
    together = lab.experiment.evaluate.together(size)
    config = attrs.evolve(together, controls=[], probes=False, nbest=nbest)
    evaluator = Evaluator(model=lab.model, collator=lab.collator, config=config, metrics=[], seed=0)
    return [prediction.hypothesis for prediction in evaluator.evaluate(examples)[0][""]]


@torch.no_grad()
def _plain_texts(trained: Transcriber, examples: Sequence[Example]) -> dict[str, str]:
    """Return the texts of `generate`, called with one batch after the other."""
    model, collator, found = trained.model, trained.collator, {}
    evaluator = Evaluator(model, collator, trained.experiment.evaluate, metrics=[], seed=0)
    model.prefixed, prefixed = False, model.prefixed  # transformers knows no shared prefix
    for start in range(0, len(examples), TOGETHER):
        chosen = examples[start : start + TOGETHER]
        batch = collator.collate(chosen, answered=False)
        inputs, _ = model.inputs(batch, model.audio(batch.features), answered=False)
        rows = [row.flip(0) for row in inputs.rows()]
        limits = [evaluator.limit(example.seconds) for example in chosen]
        ends = {*batch.ends, model.decoder.eos}
        tokens = model.decoder.model.generate(
            inputs_embeds=torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).flip(
                1
            ),  # padded on the left
            attention_mask=inputs.mask.flip(1).long(),
            do_sample=False,
            max_new_tokens=max(limits),
            eos_token_id=sorted(ends),
            pad_token_id=model.decoder.eos,
        )
        for example, row, limit in zip(chosen, tokens.tolist(), limits, strict=True):
            end = next((place for place, token in enumerate(row) if token in ends), len(row))
            found[example.id] = collator.hypothesis(Answer(row[:end], "eos").cut(limit).ids)
    model.prefixed = prefixed
    return found
