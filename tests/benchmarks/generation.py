"""Throughput of evaluation: clips generated together, by length, against one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.evaluate.evaluation import Evaluator
from tests.benchmarks.figure import Figure, cpu_seconds
from tests.benchmarks.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.example import Example

#: Generating clips together is at least so many times faster.
THROUGHPUT = 1.5


def throughput(*, quick: bool) -> Iterator[Figure]:
    """Yield how many times faster batches are than single clips; the texts are the same."""
    lab = Lab("projector.start=ridge")
    examples = lab.builder.eval_examples()["human"][: 16 if quick else 48]
    size = lab.experiment.evaluate.batch_size
    texts: dict[int, list[str]] = {}
    seconds: dict[int, list[float]] = {size: [], 1: []}
    for _ in range(1 if quick else 2):
        for number, found in seconds.items():
            found.append(cpu_seconds(lambda number=number: texts.update({number: _texts(lab, examples, number)})))
    assert texts[size] == texts[1]
    assert any(texts[1])
    hours = sum(example.seconds for example in examples)
    yield Figure(
        name=f"evaluation, batch of {size} / single clips",
        value=min(seconds[1]) / min(seconds[size]),
        bound=THROUGHPUT,
        at_least=True,
        detail=f"{hours / min(seconds[size]):.1f} and {hours / min(seconds[1]):.1f} s of audio a second, same texts",
    )


def _texts(lab: Lab, examples: Sequence[Example], size: int) -> list[str]:
    config = attrs.evolve(lab.experiment.evaluate, batch_size=size)
    evaluator = Evaluator(model=lab.model, collator=lab.collator, config=config, metrics=[], seed=0)
    return [prediction.hypothesis for prediction in evaluator.evaluate(examples)[0][""]]
