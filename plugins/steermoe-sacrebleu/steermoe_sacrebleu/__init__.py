"""BLEU and chrF for steermoe: corpus scores computed by sacrebleu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_metrics() -> Iterator[Component]:
    """Yield the metrics."""
    yield Component(
        name="bleu",
        api=1,
        summary="BLEU of the whole split, by sacrebleu",
        config="steermoe_sacrebleu.config:BleuConfig",
        factory="steermoe_sacrebleu.metrics:Bleu",
        needs={},
    )
    yield Component(
        name="chrf",
        api=1,
        summary="chrF or chrF++ of the whole split, by sacrebleu",
        config="steermoe_sacrebleu.config:ChrfConfig",
        factory="steermoe_sacrebleu.metrics:Chrf",
        needs={},
    )
