"""Questions about sounds in Clotho-AQA's layout, and scores of the answers; imports no heavy package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_datasets() -> Iterator[Component]:
    """Yield the reader of the published layout."""
    yield Component(
        name="clotho-aqa",
        api=1,
        summary="questions about sounds with three annotators' answers each",
        config="steermoe_clothoaqa.config:ClothoAqaConfig",
        factory="steermoe_clothoaqa.reader:examples",
        needs={},
    )


@hookimpl
def steermoe_metrics() -> Iterator[Component]:
    """Yield the accuracy of answers, by judge and kind of question."""
    yield Component(
        name="qa-accuracy",
        api=1,
        summary="share of answers that the annotators' majority, all, any or each of them gave",
        config="steermoe_clothoaqa.config:QaAccuracyConfig",
        factory="steermoe_clothoaqa.metric:QaAccuracy",
        needs={},
    )
