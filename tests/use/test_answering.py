"""What is asked about spans, and how it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from steermoe_core.config.experiment import EvaluateConfig
from steermoe_core.data.audio.segments import Span
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.model.config import SoftCtcConfig
from steermoe_core.model.nbest import Choice
from steermoe_core.model.soft_ctc import SoftCtcProjector
from steermoe_core.use import answering
from steermoe_core.use.answering import Answering, Wanted
from tests.parts import TinyConfig, TinyEncoder, decoder, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from steermoe_core.model.generate import Questions

RATE = 16_000


@pytest.fixture
def model(decoder_folder: str) -> Answering:
    """Return a model that chooses among the texts that its CTC head proposes."""
    encoder = TinyEncoder(TinyConfig())
    torch.manual_seed(0)
    projector = SoftCtcProjector(SoftCtcConfig(), encoder.width, decoder(decoder_folder))
    projector.begin(iter([[2, 3, 5], [8], [5, 2]]), iter([]))
    whole = joined(decoder_folder, projector=projector, encoder=encoder).eval()
    collator = AsrCollator(AsrConfig(template="{prompt}{audio}"), whole.decoder.tokenizer, encoder.features)
    return Answering(whole, collator, EvaluateConfig(nbest=4, max_new_tokens=6))


def spans(*seconds: float) -> list[Span]:
    """Return spans of noise."""
    chance = np.random.default_rng(0)
    waves = [0.2 * chance.standard_normal(round(length * RATE)).astype(np.float32) for length in seconds]
    return [Span(0, wave, last=True) for wave in waves]


@torch.no_grad()
def test_hotwords_are_listed_to_a_model_that_generates(
    model: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proposals hold only what CTC heard without knowing them, so they are for the other pass."""
    kinds = []
    usual = answering.answer_all

    def noting(model: Any, questions: Iterable[Questions], capacity: Any) -> Iterator[Any]:
        whole = list(questions)
        kinds.append({type(one) is Choice for one in whole})
        return usual(model, whole, capacity)

    monkeypatch.setattr(answering, "answer_all", noting)
    list(model.transcribed(spans(0.8), Wanted(hotwords=("one",)), lambda _: None))

    assert kinds == [{True}, {False}]


@torch.no_grad()
@pytest.mark.parametrize("head", [True, False], ids=["ctc", "attention"])
def test_times_of_words_do_not_depend_on_the_batch(model: Answering, *, head: bool) -> None:
    """Each segment's are those that it has alone, whatever it was transcribed with."""
    model.model.projector.ctc = head
    heard = spans(0.8, 2.0, 1.4)
    together = list(model.transcribed(heard, Wanted(words=True), lambda _: None))
    alone = [next(model.transcribed([one], Wanted(words=True), lambda _: None)) for one in heard]

    assert {one.times for one in together if one.words} == {"ctc" if head else "attention"}
    assert together == alone
