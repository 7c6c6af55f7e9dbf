"""Throughput of evaluation: clips generated together, by length, against one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.evaluate.evaluation import Evaluator
from tests.benchmarks.figure import Figure, timed
from tests.benchmarks.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.example import Example

#: Generating clips together is at least so many times faster.
THROUGHPUT = 1.5


def throughput(*, quick: bool) -> Iterator[Figure]:
    """Yield how many times faster batches are than single clips; the texts are the same."""
    lab = Lab("projector.start=ridge")
    examples = lab.builder.eval_examples()["human"][: 12 if quick else 48]
    size = lab.experiment.evaluate.batch_size
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
        name=f"evaluation, batch of {size} / single clips",
        value=single / batched,
        bound=THROUGHPUT,
        at_least=True,
        detail=f"{audio / batched:.1f} and {audio / single:.1f} s of audio a second, same texts",
    )


def _texts(lab: Lab, examples: Sequence[Example], size: int) -> list[str]:
    config = attrs.evolve(lab.experiment.evaluate, batch_size=size)
    evaluator = Evaluator(model=lab.model, collator=lab.collator, config=config, metrics=[], seed=0)
    return [prediction.hypothesis for prediction in evaluator.evaluate(examples)[0][""]]
